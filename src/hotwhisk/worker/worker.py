"""
A worker: the process that answers, and how it obeys the supervisor.

It begins as a spare, without an action; `Load` makes it a worker of a generation. Which of its
connections it may touch is in `connections`, how it answers what comes on them in `request_path`.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from os import getpid
from time import process_time
from typing import TYPE_CHECKING, NoReturn, cast

from hotwhisk.action.isolation import set_environment
from hotwhisk.action.signals import guard
from hotwhisk.action.warn import place_warnings
from hotwhisk.actionloop.bridge import Program
from hotwhisk.artifact import artifact
from hotwhisk.errors import VersionError
from hotwhisk.ipc.channel import Channel, ChannelClosed, DescriptorsLost
from hotwhisk.ipc.messages import (
    LONGEST_TEXT,
    RELEASED_AT_ONCE,
    Assign,
    EndLog,
    Failed,
    FolderRemoved,
    Load,
    LogEnded,
    Message,
    Ping,
    Pong,
    Ready,
    Recall,
    Released,
    RemoveFolder,
    SendError,
    SpillCreated,
    Stop,
)  # fmt: skip
from hotwhisk.openwhisk.bodies import error_body
from hotwhisk.openwhisk.sentinels import BOTH, write_missing
from hotwhisk.system.system import TAG_VARIABLE
from hotwhisk.worker import invocation, loading, template
from hotwhisk.worker.awaiting import alone, run_to_end
from hotwhisk.worker.connection import Stage
from hotwhisk.worker.connections import Connections
from hotwhisk.worker.event_loop import AsyncioLoop, EpollLoop, move_into_asyncio
from hotwhisk.worker.requests import Requests
from hotwhisk.worker.socket_errors import Disconnected
from hotwhisk.worker.spill import Spill

if TYPE_CHECKING:
    from hotwhisk.config import Config
    from hotwhisk.http1.http1 import Request
    from hotwhisk.ipc.scoreboard import Scoreboard
    from hotwhisk.worker.connection import Connection


REMOVE_FOR = 0.02
"""Seconds in one go to remove an unused folder. A version to load may come meanwhile."""


class Worker:
    """One worker process: ``connections`` has its connections, ``path`` answers what comes on them."""

    def __init__(
        self,
        channel: Channel,
        scoreboard: Scoreboard,
        place: tuple[int, int],
        config: Config,
        lowest: int,
    ) -> None:
        self.config = config
        self.connections = Connections(channel, scoreboard, place, lowest, self.handle_messages)
        self.requests = Requests(self.connections, config)
        self._lowest = lowest
        self._kept = (0, 0)
        """The memory file with the content of files that were read, and its length; see `Ready`."""
        place_warnings()

    def run(self) -> NoReturn:
        """Serve until told to leave."""
        while True:  # a loop ends when an action with coroutines moves into asyncio's
            self.connections.loop.run()

    def handle_messages(self) -> None:
        """Carry out the orders that wait, up to the first that brings connections."""
        if self.connections.forked:
            invocation.exit_now(0)
        self.connections.streams.reopen_closed()
        try:
            while (received := self.connections.channel.receive()) is not None:
                message, descriptors = received
                HANDLERS[type(message)](self, message, descriptors)
                if isinstance(message, Assign):
                    return  # those who are here already have their turn between two arrivals
        except (ChannelClosed, DescriptorsLost):
            # Without a supervisor, or without room for what it hands over: no use staying.
            invocation.exit_now(71)

    # -- becoming a worker of a generation --------------------------------------------------

    def _load(self, message: Load, descriptors: list[int]) -> None:
        began = process_time()
        outcome = loading.load(message, descriptors, self.config, self._keep)
        self.connections.streams.reopen_closed()
        if isinstance(outcome, loading.Loaded):
            slow = process_time() - began > template.MIN_LOAD_TIME
            if message.template and slow and not isinstance(outcome.action, Program):
                self._fork_template(message.generation)
            if outcome.action.is_async:
                self.connections.loop = move_into_asyncio(cast("EpollLoop", self.connections.loop))
            failed = loading.make_ready(outcome.action, self.config, self._run_to_end)
            outcome = failed or outcome
        if isinstance(outcome, Failed):
            self._fail(outcome)
        else:
            self._start_serving(message.generation, outcome)

    def _keep(self, content: bytes) -> None:
        """Put content that further workers of this generation are to load into a memory file."""
        spill = self.connections.spills.take(len(content))
        spill.map[: len(content)] = content
        self._kept = (spill.number, len(content))

    def _fork_template(self, generation: int) -> None:
        """Leave a template behind; in each worker that is forked from it, go on in that one's place."""
        loop = cast("EpollLoop", self.connections.loop)
        channel = self.connections.channel
        own = {channel.fileno(), *loop.descriptors(), *self.connections.streams.descriptors()}
        pending_fork = template.fork_template(generation, channel, own, self._lowest)
        if pending_fork is not None:
            self._kept = (0, 0)  # the worker that left the template reported it
            loop.callbacks.clear()  # it is closed, and what it has just found was not for us
            set_environment({TAG_VARIABLE: str(getpid())})
            guard()
            channel = Channel(socket.socket(fileno=pending_fork.channel))
            self.connections.reset(channel, (pending_fork.slot, pending_fork.recalls))

    def _run_to_end(self, awaitable: Awaitable[object]) -> object:
        """
        Run an awaitable that a function for the start returned.

        If the handler is asynchronous, the awaitable is run in the handler's loop. Otherwise it is
        run so that a plain handler finds no loop running.
        """
        loop = self.connections.loop
        if isinstance(loop, AsyncioLoop):
            return loop.asyncio.run_until_complete(alone(awaitable))
        return run_to_end(awaitable)

    def _fail(self, failed: Failed) -> None:
        logged = self.config.log_init_error and failed.status == VersionError.status
        if self.requests.sentinels is not None and logged:
            self.requests.sentinels.write(lambda _: None)
        self.connections.channel.send(Failed(failed.status, failed.text[:LONGEST_TEXT]))

    def _start_serving(self, generation: int, loaded: loading.Loaded) -> None:
        action, connections, requests = loaded.action, self.connections, self.requests
        requests.action = action
        requests.overlap = action.is_async and self.config.concurrency
        connections.headers = b"Hotwhisk-Generation: %d %s\r\n" % (
            generation,
            loaded.digest.encode(),
        )
        if isinstance(action, Program):
            action.attend(connections.loop)
        connections.channel.send(Ready(loaded.digest, requests.overlap, *self._kept))

    # -- connections ------------------------------------------------------------------------

    def _assign(self, message: Assign, descriptors: list[int]) -> None:
        connections, given = self.connections, iter(descriptors)
        self.requests.detail = message.detail
        fresh = []
        for number, epoch, spill, length in message.connections:
            connection = connections.add(number, next(given), epoch, message.fallback)
            if spill:
                connection.resume(Spill.adopt(spill, next(given)), length)
            fresh.append(connection)
        for connection in fresh:
            # What it asks is there already, more often than not: answer first, watch later.
            connections.with_claim(connection, connections.resume)
            connections.watch_idle(connection)

    def _recall(self, message: Recall, _: list[int]) -> None:
        released = [[each.number, each.epoch] for each in self.connections.recall()]
        channel = self.connections.channel
        while len(released) > RELEASED_AT_ONCE:
            channel.send(Released(released[:RELEASED_AT_ONCE]))
            del released[:RELEASED_AT_ONCE]
        channel.send(self.requests.release_message(released))
        self.connections.draining = self.connections.draining or message.drain
        self.connections.exit_if_drained()

    def _send_error(self, message: SendError, descriptors: list[int]) -> None:
        connections = self.connections
        write_missing(connections.streams.outputs, message.sentinels)
        connections.scoreboard.set_sentinels(message.number, BOTH)
        connection = connections.add(message.number, descriptors[0], message.epoch)
        connections.headers = b"Hotwhisk-Generation: %s\r\n" % message.generation.encode()
        if message.last:
            connections.send_error(connection, message.status, message.text)
            return

        def answer(connection: Connection) -> None:
            body = error_body(message.text)
            if not connection.answer(message.status, body, connections.headers, keep_alive=True):
                connections.wait_to_write(connection)
            elif connections.response_sent(connection):
                connections.release(connection)

        connection.stage = Stage.WRITING  # it was given to us for that, whatever is recalled
        connections.with_claim(connection, answer)

    def _stop(self, _: Stop, __: list[int]) -> None:
        self.requests.stopping = True
        for connection in list(self.connections.by_number.values()):
            if connection.stage is Stage.LISTENING:
                self.connections.with_claim(connection, self._receive_last)

    def _receive_last(self, connection: Connection) -> Request | None:
        """
        What is there, if anything is. A connection that was answered before is between requests
        and ends here; a fresh one may be about to send its first, so it is the supervisor that
        waits for it, or does not.
        """
        request = self.connections.receive(connection)
        if request is None and connection.sent and connection.spill is None:
            raise Disconnected
        return request

    def _deposit(self, message: SpillCreated, descriptors: list[int]) -> None:
        self.connections.spills.set_reserve(message.spill, descriptors[0])

    # -- the rest ---------------------------------------------------------------------------

    def _end_log(self, message: EndLog, _: list[int]) -> None:
        outputs = self.connections.streams.outputs
        outputs[2].write(message.text.encode(errors="replace"))
        write_missing(outputs, BOTH)
        self.connections.channel.send(LogEnded())

    def _pong(self, _: Ping, __: list[int]) -> None:
        self.connections.channel.send(Pong())

    def _remove_folder(self, message: RemoveFolder, _: list[int]) -> None:
        finished = artifact.discard(message.folder, REMOVE_FOR)
        self.connections.channel.send(FolderRemoved(message.generation, rest=not finished))


HANDLERS: dict[type[Message], Callable[..., None]] = {
    Load: Worker._load,
    Assign: Worker._assign,
    SpillCreated: Worker._deposit,
    Recall: Worker._recall,
    SendError: Worker._send_error,
    EndLog: Worker._end_log,
    Stop: Worker._stop,
    Ping: Worker._pong,
    RemoveFolder: Worker._remove_folder,
}
