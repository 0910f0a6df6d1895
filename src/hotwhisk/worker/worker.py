"""
A worker: the process that answers, and how it obeys the supervisor.

It begins as a desk, without an action; `Load` makes it a worker of a generation. Which of its
connections it may touch is in `holder`, how it answers what comes on them in `request_path`.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from os import getpid
from time import process_time
from typing import TYPE_CHECKING, NoReturn, cast

from hotwhisk.action.house import set_environment
from hotwhisk.action.signals import guard
from hotwhisk.action.warn import place_warnings
from hotwhisk.actionloop.actionloop import Program
from hotwhisk.artifact import artifact
from hotwhisk.channel import Channel, ChannelClosed, DescriptorsLost
from hotwhisk.contract import error_body
from hotwhisk.errors import VersionError
from hotwhisk.messages import (
    LONGEST_TEXT,
    RELEASED_AT_ONCE,
    Answer,
    Deposit,
    Discard,
    Discarded,
    Failed,
    Hand,
    Load,
    Mark,
    Marked,
    Message,
    Ping,
    Pong,
    Ready,
    Recall,
    Released,
    Stop,
)  # fmt: skip
from hotwhisk.sentinels import BOTH, write_owed
from hotwhisk.system.system import TAG_VARIABLE
from hotwhisk.worker import invocation, loading, template
from hotwhisk.worker.awaiting import alone, run_to_end
from hotwhisk.worker.connection import Stage
from hotwhisk.worker.holder import Holder
from hotwhisk.worker.loop import AsyncioLoop, EpollLoop, move_into_asyncio
from hotwhisk.worker.request_path import RequestPath
from hotwhisk.worker.socket_errors import Gone
from hotwhisk.worker.spill import Spill

if TYPE_CHECKING:
    from hotwhisk.config import Config
    from hotwhisk.http1.http1 import Request
    from hotwhisk.ledger import Ledger
    from hotwhisk.worker.connection import Connection


REMOVE_FOR = 0.02
"""Seconds in one go to remove an unused folder. A version to load may come meanwhile."""


class Worker:
    """One worker process: ``holder`` has its connections, ``path`` answers what comes on them."""

    def __init__(
        self,
        channel: Channel,
        ledger: Ledger,
        place: tuple[int, int],
        config: Config,
        lowest: int,
    ) -> None:
        self.config = config
        self.holder = Holder(channel, ledger, place, lowest, self.obey)
        self.path = RequestPath(self.holder, config)
        self._lowest = lowest
        self._kept = (0, 0)
        """The memory file with the content of files that were read, and its length; see `Ready`."""
        place_warnings()

    def run(self) -> NoReturn:
        """Serve until told to leave."""
        while True:  # a loop ends when an action with coroutines moves into asyncio's
            self.holder.loop.run()

    def obey(self) -> None:
        """Carry out the orders that wait, up to the first that brings connections."""
        if self.holder.copied:
            invocation.leave(0)
        self.holder.streams.mend()
        try:
            while (received := self.holder.channel.receive()) is not None:
                message, descriptors = received
                ORDERS[type(message)](self, message, descriptors)
                if isinstance(message, Hand):
                    return  # those who are here already have their turn between two arrivals
        except (ChannelClosed, DescriptorsLost):
            # Without a supervisor, or without room for what it hands over: no use staying.
            invocation.leave(71)

    # -- becoming a worker of a generation --------------------------------------------------

    def _load(self, message: Load, descriptors: list[int]) -> None:
        began = process_time()
        outcome = loading.load(message, descriptors, self.config, self._keep)
        self.holder.streams.mend()
        if isinstance(outcome, loading.Loaded):
            slow = process_time() - began > template.WORTHWHILE
            if message.template and slow and not isinstance(outcome.action, Program):
                self._leave_template(message.generation)
            if outcome.action.is_async:
                self.holder.loop = move_into_asyncio(cast("EpollLoop", self.holder.loop))
            failed = loading.make_ready(outcome.action, self.config, self._run_to_end)
            outcome = failed or outcome
        if isinstance(outcome, Failed):
            self._fail(outcome)
        else:
            self._take_over(message.generation, outcome)

    def _keep(self, content: bytes) -> None:
        """Put content that further workers of this generation are to load into a memory file."""
        spill = self.holder.spills.take(len(content))
        spill.map[: len(content)] = content
        self._kept = (spill.number, len(content))

    def _leave_template(self, generation: int) -> None:
        """Leave a template behind; in each worker that is forked from it, go on in that one's place."""
        loop = cast("EpollLoop", self.holder.loop)
        channel = self.holder.channel
        own = {channel.fileno(), *loop.descriptors(), *self.holder.streams.descriptors()}
        birth = template.leave_behind(generation, channel, own, self._lowest)
        if birth is not None:
            self._kept = (0, 0)  # the worker that left the template reported it
            loop.callbacks.clear()  # it is closed, and what it has just found was not for us
            set_environment({TAG_VARIABLE: str(getpid())})
            guard()
            channel = Channel(socket.socket(fileno=birth.channel))
            self.holder.take_place(channel, (birth.slot, birth.recalls))

    def _run_to_end(self, awaitable: Awaitable[object]) -> object:
        """
        Run an awaitable that a function for the start returned.

        If the handler is asynchronous, the awaitable is run in the handler's loop. Otherwise it is
        run so that a plain handler finds no loop running.
        """
        loop = self.holder.loop
        if isinstance(loop, AsyncioLoop):
            return loop.asyncio.run_until_complete(alone(awaitable))
        return run_to_end(awaitable)

    def _fail(self, failed: Failed) -> None:
        logged = self.config.log_init_error and failed.status == VersionError.status
        if self.path.sentinels is not None and logged:
            self.path.sentinels.write(lambda _: None)
        self.holder.channel.send(Failed(failed.status, failed.text[:LONGEST_TEXT]))

    def _take_over(self, generation: int, loaded: loading.Loaded) -> None:
        action, holder, path = loaded.action, self.holder, self.path
        path.action = action
        path.overlap = action.is_async and self.config.concurrency
        holder.headers = b"Hotwhisk-Generation: %d %s\r\n" % (generation, loaded.digest.encode())
        if isinstance(action, Program):
            action.attend(holder.loop)
        holder.channel.send(Ready(loaded.digest, path.overlap, *self._kept))

    # -- connections ------------------------------------------------------------------------

    def _hand(self, message: Hand, descriptors: list[int]) -> None:
        holder, given = self.holder, iter(descriptors)
        self.path.detail = message.detail
        fresh = []
        for number, tenure, spill, length in message.connections:
            connection = holder.admit(number, next(given), tenure, message.duty)
            if spill:
                connection.resume(Spill.adopt(spill, next(given)), length)
            fresh.append(connection)
        for connection in fresh:
            # What it asks is there already, more often than not: answer first, watch later.
            holder.touch(connection, holder.resume)
            holder.watch_idle(connection)

    def _recall(self, message: Recall, _: list[int]) -> None:
        released = [[each.number, each.tenure] for each in self.holder.obey_recall()]
        channel = self.holder.channel
        while len(released) > RELEASED_AT_ONCE:
            channel.send(Released(released[:RELEASED_AT_ONCE]))
            del released[:RELEASED_AT_ONCE]
        channel.send(self.path.end_tenures(released))
        self.holder.leaving = self.holder.leaving or message.leave
        self.holder.leave_if_done()

    def _answer_for(self, message: Answer, descriptors: list[int]) -> None:
        holder = self.holder
        write_owed(holder.streams.outputs, message.sentinels)
        holder.ledger.ended(message.number, BOTH)
        connection = holder.admit(message.number, descriptors[0], message.tenure)
        holder.headers = b"Hotwhisk-Generation: %s\r\n" % message.generation.encode()
        if message.last:
            holder.refuse(connection, message.status, message.text)
            return

        def answer(connection: Connection) -> None:
            body = error_body(message.text)
            if not connection.answer(message.status, body, holder.headers, keep_alive=True):
                holder.wait_to_write(connection)
            elif holder.answered(connection):
                holder.give_back(connection)

        connection.stage = Stage.WRITING  # it was given to us for that, whatever is recalled
        holder.touch(connection, answer)

    def _stop(self, _: Stop, __: list[int]) -> None:
        self.path.stopping = True
        for connection in list(self.holder.connections.values()):
            if connection.stage is Stage.LISTENING:
                self.holder.touch(connection, self._receive_last)

    def _receive_last(self, connection: Connection) -> Request | None:
        """
        What is there, if anything is. A connection that was answered before is between requests
        and ends here; a fresh one may be about to send its first, so it is the supervisor that
        waits for it, or does not.
        """
        request = self.holder.receive(connection)
        if request is None and connection.sent and connection.spill is None:
            raise Gone
        return request

    def _deposit(self, message: Deposit, descriptors: list[int]) -> None:
        self.holder.spills.set_reserve(message.spill, descriptors[0])

    # -- the rest ---------------------------------------------------------------------------

    def _mark(self, message: Mark, _: list[int]) -> None:
        outputs = self.holder.streams.outputs
        outputs[2].write(message.text.encode(errors="replace"))
        write_owed(outputs, BOTH)
        self.holder.channel.send(Marked())

    def _pong(self, _: Ping, __: list[int]) -> None:
        self.holder.channel.send(Pong())

    def _discard(self, message: Discard, _: list[int]) -> None:
        finished = artifact.discard(message.folder, REMOVE_FOR)
        self.holder.channel.send(Discarded(message.generation, rest=not finished))


ORDERS: dict[type[Message], Callable[..., None]] = {
    Load: Worker._load,
    Hand: Worker._hand,
    Deposit: Worker._deposit,
    Recall: Worker._recall,
    Answer: Worker._answer_for,
    Mark: Worker._mark,
    Stop: Worker._stop,
    Ping: Worker._pong,
    Discard: Worker._discard,
}
