"""
The request path of a worker: it reads its connections, calls the action, and writes.

There is no proxy before it and no queue inside it. What it may touch it learns from the
supervisor, and the order of its hands is what keeps the promises (see `ledger` for the claim):

    claim a connection → look for a recall → read → look for a recall → call → write → unclaim

The second look is for promise 3: bytes that were read after a replacement was answered belong
to the new generation, so they go back unanswered. Looking is one load from shared memory, and
a request on a kept connection costs four system calls: wait, read, getpid, write.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from hotwhisk import invocation
from hotwhisk.connection import Connection, Gone
from hotwhisk.contract import (
    INIT_TWICE,
    Cause,
    Profile,
    RunRequest,
    answer_for,
    error_body,
    read_run,
)
from hotwhisk.errors import Forbidden, RequestError
from hotwhisk.gate import Gate
from hotwhisk.ledger import Last, Ledger, Phase
from hotwhisk.loop import AsyncioLoop, EpollLoop, Loop
from hotwhisk.messages import Busy, Closed, Deposit, Drop, Posted, Released
from hotwhisk.sentinels import Sentinels, write_whole
from hotwhisk.spill import Spills

if TYPE_CHECKING:
    from hotwhisk.action import Action
    from hotwhisk.channel import Channel
    from hotwhisk.config import Config
    from hotwhisk.http1 import Head, Request

READ_SIZE = 65536


class RequestPath:
    """
    The connections of one worker process, and what becomes of the requests on them. ``place``
    is the worker's slot in the ledger, and how often that was recalled before; ``lowest`` is
    the least number of its own descriptors.
    """

    def __init__(
        self,
        channel: Channel,
        ledger: Ledger,
        place: tuple[int, int],
        config: Config,
        lowest: int,
    ) -> None:
        self.config = config
        self.profile = Profile.OPENWHISK if config.openwhisk else Profile.PLAIN
        self.channel = channel
        self.action: Action | None = None
        self.loop: Loop = EpollLoop(lowest)
        self.connections: dict[int, Connection] = {}
        self._pid = os.getpid()
        self._ledger = ledger
        slot, self._recalls = place
        self._words = ledger.words
        self._recalls_at, self._claim_at = ledger.recalls_at(slot), ledger.claim_at(slot)
        self._gate = Gate(config)
        self._budget = invocation.Budget(config)
        self._admitted: Head | None = None
        self._headers = b""
        self._sentinels = Sentinels() if config.openwhisk else None
        self._overlap = False
        self._running = 0
        self._owes_release = False
        self._waiting: list[Connection] = []
        self._tasks: set[object] = set()  # the event loop itself holds them by weak references
        self._leaving = False
        self._stopping = False
        self._buffer = memoryview(bytearray(READ_SIZE))
        self._spills = Spills((slot << 48) + (self._pid << 24) + 1, self._deposit, self._drop)
        self.loop.watch(channel.fileno(), self.obey)
        os.register_at_fork(after_in_child=self._become_copy)

    def obey(self) -> None:
        """
        Carry out every order that waits; the worker knows how.
        """
        raise NotImplementedError

    def _admit(self, number: int, descriptor: int, duty: str = "") -> Connection:
        connection = Connection(number, descriptor, self._ledger, self._spills, duty)
        self.connections[number] = connection
        return connection

    def _watch(self, connection: Connection) -> None:
        self.loop.watch(connection.socket.fileno(), lambda: self.serve(connection))

    # -- the request path -------------------------------------------------------------------

    def serve(self, connection: Connection) -> None:
        """
        Read a connection that may have something, and answer what is whole.
        """
        self._under_claim(connection, self._receive)

    def _under_claim(
        self, connection: Connection, first: Callable[[Connection], Request | None]
    ) -> None:
        """
        Touch a connection: take the first step, then answer every request that is whole.

        A connection that is busy is ours whatever was recalled; any other may be somebody
        else's by now, and the claim finds out.
        """
        words, recalls_at = self._words, self._recalls_at
        words[self._claim_at] = connection.number + 1
        if connection.busy or words[recalls_at] == self._recalls:
            try:
                request = first(connection)
                while request is not None:
                    if words[recalls_at] != self._recalls:
                        connection.put_back()
                        break
                    if not self._answer(connection, request):
                        break
                    request = connection.next_request()
            except Gone:
                self._close(connection)
            except RequestError as error:
                self._refuse(connection, error.status, str(error))
        words[self._claim_at] = 0
        if words[recalls_at] != self._recalls:
            self.obey()

    def _receive(self, connection: Connection) -> Request | None:
        if not connection.closing:
            return connection.receive(self._buffer)
        connection.discard(self._buffer)
        return None

    def _resume(self, connection: Connection) -> Request | None:
        request = connection.examine_spill() if connection.spill else None
        return request or connection.receive(self._buffer)

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
            return self._finish(connection, request, error.status, error_body(str(error)))

    def _run(self, connection: Connection, request: Request) -> bool:
        action = self.action
        if action is None:
            return self._run_without_action(connection, request)
        if self._stopping and self.config.openwhisk:
            return self._refuse_run(connection, request, Cause.STOPPING)
        if action.is_async and not self._overlap and self._running:
            connection.put_back()  # one at a time: it waits here, and can be moved meanwhile
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
        status, body = invocation.call(action, run, self.profile)
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
        assert self.action is not None
        connection.busy = True
        self._running += 1
        self.loop.unwatch(connection.socket.fileno())
        coroutine = invocation.call_async(self.action, run, self.profile)
        task = cast("AsyncioLoop", self.loop).asyncio.create_task(coroutine)

        def finish(connection: Connection) -> Request | None:
            connection.busy = False
            self._running -= 1
            self._watch(connection)
            return self._after(connection, self._end_run(connection, request, *task.result()))

        def done(_: object) -> None:
            self._under_claim(connection, finish)
            if self._owes_release and not self._running:
                self._owes_release = False
                self.channel.send(Released(recalled=True))
            while self._waiting and not self._running:
                waiting = self._waiting.pop(0)
                if self.connections.get(waiting.number) is waiting:
                    self._under_claim(waiting, self._resume)

        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(done)

    def _after(self, connection: Connection, free: bool) -> Request | None:
        return connection.next_request() if free else None

    def _finish(self, connection: Connection, request: Request, status: int, body: bytes) -> bool:
        """
        Send the answer; True if it is out and the connection can be asked for more.
        """
        keep_alive = request.head.keep_alive and not self._stopping
        connection.closing = not keep_alive
        if isinstance(request.body, memoryview):
            request.body.release()
        minor = request.head.minor
        if connection.answer(status, body, self._headers, keep_alive=keep_alive, minor=minor):
            return self._answered(connection)
        self._wait_to_write(connection)
        return False

    def _flush(self, connection: Connection) -> Request | None:
        if not connection.flush():
            return None
        connection.busy = False
        self._watch(connection)
        return self._after(connection, self._answered(connection))

    def _wait_to_write(self, connection: Connection) -> None:
        connection.busy = True
        self.loop.watch_writable(
            connection.socket.fileno(), lambda: self._under_claim(connection, self._flush)
        )

    def _answered(self, connection: Connection) -> bool:
        connection.request_done()
        if connection.closing:
            if connection.unread or connection.has_rest:
                self._linger(connection)
            else:
                self._close(connection)
            return False
        if connection.has_rest:
            return True  # until that is begun, or kept, the ledger says that it was read
        # In this order: idle under a claim would mean that something was read and not answered.
        self._words[self._claim_at] = 0
        self._ledger.set_phase(connection.number, 1)  # Phase.IDLE, without a look-up
        if self._leaving:
            self._give_back(connection)
            return False
        return True

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
        self.channel.send(Posted(connection.number, spill.number, offset, length))

    def _refuse(self, connection: Connection, status: int, text: str) -> None:
        """
        Answer without having read everything, and close.
        """
        connection.closing = connection.unread = True
        try:
            if connection.answer(status, error_body(text), self._headers, keep_alive=False):
                self._linger(connection)
            else:
                self._wait_to_write(connection)
        except Gone:
            self._close(connection)

    def _linger(self, connection: Connection) -> None:
        connection.busy = True
        self._watch(connection)
        connection.linger()
        self._ledger.lingering(connection.number, time.monotonic())
        if not self._ledger.ticking:
            self.channel.send(Busy())

    # -- parting ----------------------------------------------------------------------------

    def _forget(self, connection: Connection) -> None:
        del self.connections[connection.number]
        self.loop.unwatch(connection.socket.fileno())
        connection.let_go()

    def _give_back(self, connection: Connection) -> None:
        self._forget(connection)
        self.channel.send(Released([[connection.number, connection.tenure]]))
        self._leave_if_done()

    def _close(self, connection: Connection) -> None:
        del self.connections[connection.number]
        self.loop.unwatch(connection.socket.fileno())
        connection.close()
        if self._ledger.attentive:
            self.channel.send(Closed())
        self._leave_if_done()

    def _leave_if_done(self) -> None:
        if self._leaving and not self.connections:
            invocation.leave_in_order()

    def _deposit(self, number: int, descriptor: int) -> None:
        self.channel.send(Deposit(number), (descriptor,))

    def _drop(self, number: int) -> None:
        self.channel.send(Drop(number))

    def _become_copy(self) -> None:
        """
        In a child that the action forked: our descriptors are none of its business.
        """
        for connection in self.connections.values():
            connection.socket.close()
        self.channel.close()
        if isinstance(self.loop, EpollLoop):
            self.loop.close()
