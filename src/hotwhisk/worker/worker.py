"""
A worker: the process that answers, and how it obeys the supervisor.

It begins as a desk, without an action; `Load` makes it a worker of a generation. How it serves
its connections stands in `request_path`.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, cast

from hotwhisk.action.house import at_home, set_environment
from hotwhisk.actionloop.actionloop import Program
from hotwhisk.artifact import artifact
from hotwhisk.channel import Channel, ChannelClosed, DescriptorsLost
from hotwhisk.contract import error_body
from hotwhisk.errors import VersionError
from hotwhisk.messages import (
    LONGEST_TEXT,
    RELEASED_AT_ONCE,
    Answer,
    Discard,
    Discarded,
    Failed,
    Hand,
    Load,
    Mark,
    Message,
    Ping,
    Pong,
    Ready,
    Recall,
    Released,
    Stop,
)  # fmt: skip
from hotwhisk.sentinels import BOTH, write_owed, write_whole
from hotwhisk.system.system import TAG_VARIABLE
from hotwhisk.worker import invocation, loading, template
from hotwhisk.worker.connection import Gone
from hotwhisk.worker.loop import AsyncioLoop, EpollLoop
from hotwhisk.worker.request_path import RequestPath
from hotwhisk.worker.spill import Spill

if TYPE_CHECKING:
    from hotwhisk.http1.http1 import Request
    from hotwhisk.worker.connection import Connection


class Worker(RequestPath):
    """
    One worker process.
    """

    def obey(self) -> None:
        """
        Carry out the orders that wait, up to the first that brings connections.
        """
        try:
            while (received := self.channel.receive()) is not None:
                message, descriptors = received
                ORDERS[type(message)](self, message, descriptors)
                if isinstance(message, Hand):
                    return  # those who are here already have their turn between two arrivals
        except (ChannelClosed, DescriptorsLost):
            # Without a supervisor, or without room for what it hands over: no use staying.
            invocation.leave(71)

    def _load(self, message: Load, descriptors: list[int]) -> None:
        began = time.process_time()
        outcome = loading.load(message, descriptors, self.config)
        if isinstance(outcome, loading.Loaded):
            slow = time.process_time() - began > template.WORTHWHILE
            if message.template and slow and not isinstance(outcome.action, Program):
                self._leave_template(message.generation)
            if outcome.action.is_async:
                self._move_to_asyncio()
            failed = loading.make_ready(outcome.action, self.config, self._run_to_end)
            outcome = failed or outcome
        if isinstance(outcome, Failed):
            logged = self.config.log_init_error and outcome.status == VersionError.status
            if self._sentinels is not None and logged:
                self._sentinels.write(lambda _: None)
            self.channel.send(Failed(outcome.status, outcome.text[:LONGEST_TEXT]))
            return
        self.action = outcome.action
        self._headers = b"Hotwhisk-Generation: %d %s\r\n" % (
            message.generation,
            outcome.digest.encode(),
        )
        self._overlap = self.action.is_async and self.config.concurrency
        if isinstance(self.action, Program):
            self.action.attend(self.loop)
        spill = 0
        if outcome.source:
            pinned = self._spills.take(len(outcome.source))
            pinned.map[: len(outcome.source)] = outcome.source
            spill = pinned.number
        self.channel.send(Ready(outcome.digest, self._overlap, spill, len(outcome.source)))

    def _leave_template(self, generation: int) -> None:
        """
        Leave a template behind; in each worker that is forked from it, go on in that one's place.
        """
        loop = cast("EpollLoop", self.loop)
        own = {self.channel.fileno(), *loop.descriptors()}
        birth = template.leave_behind(generation, self.channel, own, self._lowest)
        if birth is not None:
            loop.callbacks.clear()  # it is closed, and what it has just found was not for us
            set_environment({TAG_VARIABLE: str(os.getpid())})
            channel = Channel(socket.socket(fileno=birth.channel))
            self._take_place(channel, (birth.slot, birth.recalls))

    def _run_to_end(self, coroutine: Coroutine[object, object, object]) -> None:
        if isinstance(self.loop, EpollLoop):
            self._move_to_asyncio()
        cast("AsyncioLoop", self.loop).asyncio.run_until_complete(coroutine)

    def _move_to_asyncio(self) -> None:
        with at_home():  # the action may have a module of that name
            import asyncio

            loop = asyncio.new_event_loop()
            asyncio.set_event_loop(loop)
        old = cast("EpollLoop", self.loop)
        self.loop = AsyncioLoop(loop)
        for descriptor, callback in old.callbacks.items():
            watch = self.loop.watch_writable if descriptor in old.writing else self.loop.watch
            watch(descriptor, callback)
        old.close()

    def _hand(self, message: Hand, descriptors: list[int]) -> None:
        given = iter(descriptors)
        fresh = []
        for number, tenure, spill, length in message.connections:
            connection = self._admit(number, next(given), message.duty)
            connection.tenure = tenure
            if spill:
                connection.resume(Spill.adopt(spill, next(given)), length)
            fresh.append(connection)
        for connection in fresh:
            # What it asks is there already, more often than not: answer first, watch later.
            if self.connections.get(connection.number) is connection:
                self._under_claim(connection, self._resume)
            self._watch_idle(connection)

    def _recall(self, message: Recall, _: list[int]) -> None:
        self._recalls = (self._recalls + 1) & 0xFFFFFFFF
        idle = [each for each in self.connections.values() if not each.busy]
        for connection in idle:
            self._forget(connection)
        released = [[each.number, each.tenure] for each in idle]
        while len(released) > RELEASED_AT_ONCE:
            self.channel.send(Released(released[:RELEASED_AT_ONCE]))
            del released[:RELEASED_AT_ONCE]
        # A handler that runs alone makes this worker as busy as a blocked one, so it is not
        # offered work again before it is done.
        self._owes_release = bool(self._running) and not self._overlap
        self.channel.send(Released(released, recalled=not self._owes_release))
        self._leaving = self._leaving or message.leave
        self._leave_if_done()

    def _answer_for(self, message: Answer, descriptors: list[int]) -> None:
        write_owed(message.sentinels)
        connection = self._admit(message.number, descriptors[0])
        connection.tenure = message.tenure
        self._headers = b"Hotwhisk-Generation: %s\r\n" % message.generation.encode()
        if message.last:
            self._refuse(connection, message.status, message.text)
            return

        def answer(connection: Connection) -> Request | None:
            body = error_body(message.text)
            if not connection.answer(message.status, body, self._headers, keep_alive=True):
                self._wait_to_write(connection)
            elif self._answered(connection):
                self._give_back(connection)
            return None

        connection.busy = True
        self._under_claim(connection, answer)

    def _mark(self, message: Mark, _: list[int]) -> None:
        write_whole(2, message.text.encode(errors="replace"))
        write_owed(BOTH)

    def _stop(self, _: Stop, __: list[int]) -> None:
        self._stopping = True
        for connection in list(self.connections.values()):
            if self.connections.get(connection.number) is connection and not connection.busy:
                self._under_claim(connection, self._receive_last)

    def _receive_last(self, connection: Connection) -> Request | None:
        """
        What is there, if anything is. A connection that was answered before is between requests
        and ends here; a fresh one may be about to send its first, so it is the supervisor that
        waits for it, or does not.
        """
        if connection in self._waiting:
            return None
        request = self._receive(connection)
        if request is None and connection.sent and connection.spill is None:
            raise Gone
        return request

    def _pong(self, _: Ping, __: list[int]) -> None:
        self.channel.send(Pong())

    def _discard(self, message: Discard, _: list[int]) -> None:
        artifact.discard(message.folder)
        self.channel.send(Discarded(message.generation))


ORDERS: dict[type[Message], Callable[..., None]] = {
    Load: Worker._load,
    Hand: Worker._hand,
    Recall: Worker._recall,
    Answer: Worker._answer_for,
    Mark: Worker._mark,
    Stop: Worker._stop,
    Ping: Worker._pong,
    Discard: Worker._discard,
}
