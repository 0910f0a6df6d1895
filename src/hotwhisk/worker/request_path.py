"""
The request path of a worker: a request comes in, the action is called, an answer goes out.

There is no proxy before it and no queue inside it: a request on a kept connection costs four
system calls: wait, read, getpid, write. `holder` says which connection may be touched when.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, cast

from hotwhisk.contract import (
    INIT_TWICE,
    Cause,
    Profile,
    RunRequest,
    answer_for,
    error_body,
    read_run,
)  # fmt: skip
from hotwhisk.errors import BadResult, Forbidden, RequestError
from hotwhisk.ledger import Last, Ledger, Phase
from hotwhisk.messages import Busy, Posted, Released
from hotwhisk.sentinels import Sentinels, write_whole
from hotwhisk.worker import invocation
from hotwhisk.worker.connection import Connection
from hotwhisk.worker.gate import Gate
from hotwhisk.worker.holder import Holder
from hotwhisk.worker.loop import AsyncioLoop, fatal

if TYPE_CHECKING:
    from hotwhisk.action.action import Action
    from hotwhisk.actionloop.actionloop import Program
    from hotwhisk.channel import Channel
    from hotwhisk.config import Config
    from hotwhisk.http1.http1 import Head, Request


CANCELLED = error_body("the action cancelled this run of its handler")


class RequestPath(Holder):
    """
    A holder of connections that answers what comes on them.
    """

    def __init__(
        self,
        channel: Channel,
        ledger: Ledger,
        place: tuple[int, int],
        config: Config,
        lowest: int,
    ) -> None:
        super().__init__(channel, ledger, place, lowest)
        self.config = config
        self.profile = Profile.OPENWHISK if config.openwhisk else Profile.PLAIN
        self.action: Action | Program | None = None
        self._gate = Gate(config)
        self._budget = invocation.Budget(config)
        self._admitted: Head | None = None
        self._sentinels = Sentinels() if config.openwhisk else None
        self._overlap = False
        self._running = 0
        self._owes_release = False
        self._waiting: list[Connection] = []
        self._tasks: set[object] = set()  # the event loop itself holds them by weak references
        self._stopping = False

    def _watch_idle(self, connection: Connection) -> None:
        """
        Watch a connection that was just served, if it is still here and waits for its client.
        """
        here = self.connections.get(connection.number) is connection
        if here and not connection.busy and connection not in self._waiting:
            self._watch(connection)

    def _answer(self, connection: Connection, request: Request) -> bool:
        """
        Answer one request; True if the connection can be asked for the next.
        """
        head = request.head
        try:
            if head is not self._admitted:
                self._gate.check(head)
                self._admitted = head
            if head.path == "/run":
                return self._run(connection, request)
            self._lend(connection, request)
            return False
        except RequestError as error:
            body = error_body(str(error))
            return self._finish(connection, request, error.status, body, error.headers)

    def _run(self, connection: Connection, request: Request) -> bool:
        action = self.action
        if action is None:
            return self._run_without_action(connection, request)
        if self._stopping and self.config.openwhisk:
            return self._refuse_run(connection, request, Cause.STOPPING)
        if action.is_async and not self._overlap and self._running:
            connection.put_back()  # one at a time: it waits here, and can be moved meanwhile
            self.loop.unwatch(connection.socket.fileno())  # or more of it would be served twice
            self._waiting.append(connection)
            return False
        run = read_run(request.body)
        if self._sentinels is not None:
            self._ledger.ended(connection.number, 0)
        self._ledger.handling(
            connection.number, time.monotonic(), self._budget(run.context), connection.sent
        )
        if connection.has_rest:
            last = Last.READ_ON
        else:
            last = Last.NO if request.head.keep_alive else Last.ASKED
        self._ledger.set_last(connection.number, last)
        if not self._ledger.ticking:
            self.channel.send(Busy())
        if action.is_async:
            self._start(connection, request, run)
            return False
        status, body = invocation.call(action, run, self.profile, request.body)
        return self._end_run(connection, request, status, body)

    def _end_run(self, connection: Connection, request: Request, status: int, body: bytes) -> bool:
        if os.getpid() != self._pid:
            invocation.leave(0)  # a copy of us that the handler made and let return
        if self._sentinels is not None:
            number = connection.number
            self._sentinels.write(lambda streams: self._ledger.ended(number, streams))
        return self._finish(connection, request, status, body)

    def _start(self, connection: Connection, request: Request, run: RunRequest) -> None:
        """
        Begin a run that others may overlap; its connection is not read until it is answered.
        """
        connection.busy = True
        self._running += 1
        self.loop.unwatch(connection.socket.fileno())
        coroutine = invocation.call_async(cast("Action", self.action), run, self.profile)
        task = cast("AsyncioLoop", self.loop).asyncio.create_task(coroutine)

        def finish(connection: Connection) -> Request | None:
            connection.busy = False
            self._running -= 1
            self._watch(connection)
            answer = (BadResult.status, CANCELLED) if task.cancelled() else task.result()
            free = self._end_run(connection, request, *answer)
            return connection.next_request() if free else None

        def done() -> None:
            self._under_claim(connection, finish)
            if self._owes_release and not self._running:
                self._owes_release = False
                self.channel.send(Released(recalled=True))
            while self._waiting and not self._running:
                waiting = self._waiting.pop(0)
                if self.connections.get(waiting.number) is waiting:
                    self._under_claim(waiting, self._resume)
                    self._watch_idle(waiting)

        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: fatal(done)())

    def _finish(
        self,
        connection: Connection,
        request: Request,
        status: int,
        body: bytes,
        headers: bytes = b"",
    ) -> bool:
        """
        Send the answer; True if it is out and the connection can be asked for more. ``headers``
        are lines besides those that each answer has.
        """
        keep_alive = request.head.keep_alive and not self._stopping
        connection.closing = not keep_alive
        if isinstance(request.body, memoryview):
            request.body.release()
        headers, minor = self._headers + headers, request.head.minor
        if connection.answer(status, body, headers, keep_alive=keep_alive, minor=minor):
            return self._answered(connection)
        self._wait_to_write(connection)
        return False

    # -- requests that the action does not see ----------------------------------------------

    def _run_without_action(self, connection: Connection, request: Request) -> bool:
        if connection.duty:
            return self._refuse_run(connection, request, Cause(connection.duty))
        connection.put_back(Phase.PARKED)
        self._give_back(connection)
        return False

    def _refuse_run(self, connection: Connection, request: Request, cause: Cause) -> bool:
        status, text = answer_for(self.profile, cause)
        return self._finish(connection, request, status, error_body(text))

    def _lend(self, connection: Connection, request: Request) -> None:
        """
        An ``/init``: the supervisor carries it out and answers.
        """
        # A desk whose duty is to park stands in for workers, so there is an action.
        if not self.config.reinit and connection.duty != Cause.NO_ACTION:
            write_whole(2, f"{INIT_TWICE}\n".encode())
            raise Forbidden(INIT_TWICE)
        length = len(request.body)
        spill, offset = connection.lend(request)
        self._forget(connection)
        keep = request.head.keep_alive
        self.channel.send(Posted(connection.number, spill.number, offset, length, not keep))
        self.channel.flush_all()  # or it would die with this process, and nobody would answer
        self._leave_if_done()
