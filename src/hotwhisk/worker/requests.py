"""
The request path of a worker: a request comes in, the action is called, an answer goes out.

There is no proxy before it and no thread behind it: a request on a kept connection costs four
system calls: wait, read, getpid, write. `connections` says which connection may be touched when.
"""

from __future__ import annotations

from os import getpid
from time import monotonic
from typing import TYPE_CHECKING, cast

from hotwhisk.errors import BadResult, Forbidden, RequestError
from hotwhisk.ipc.messages import InitReceived, Released, StartTimer
from hotwhisk.ipc.scoreboard import CloseAfter, Phase
from hotwhisk.openwhisk.answers import Cause, Profile, failure_response
from hotwhisk.openwhisk.bodies import INIT_TWICE, RunRequest, error_body, read_run
from hotwhisk.openwhisk.sentinels import BOTH, Sentinels, write_missing
from hotwhisk.worker import invocation, recovery
from hotwhisk.worker.access import AccessCheck
from hotwhisk.worker.connection import After, Connection, Stage
from hotwhisk.worker.event_loop import AsyncioLoop, fatal

if TYPE_CHECKING:
    from hotwhisk.action.action import Action
    from hotwhisk.actionloop.bridge import Program
    from hotwhisk.config import Config
    from hotwhisk.http1.http1 import Head, Request
    from hotwhisk.worker.connections import Connections

WITHOUT_ACTION = (Cause.NO_ACTION, Cause.LOAD_FAILED)
CANCELLED = error_body("the action cancelled this run of its handler")


class Requests:
    """Answers what comes on the connections of a connections. ``action`` is None in a spare."""

    def __init__(self, connections: Connections, config: Config) -> None:
        self.action: Action | Program | None = None
        self.overlap = False
        """Whether runs of the action may overlap in this process."""
        self.stopping = False
        """Whether the server is: what is answered now is the last on its connection."""
        self.detail = ""
        """The text that an answer without an action has besides its cause."""
        self.config = config
        self.profile = Profile.OPENWHISK if config.openwhisk else Profile.PLAIN
        streams = Sentinels(connections.streams.outputs, utf8=config.openwhisk)
        self.sentinels = streams if config.openwhisk else None
        self._connections = connections
        self._scoreboard = connections.scoreboard
        self._gate = AccessCheck(config)
        self._budget = invocation.Budget(config)
        self._admitted: Head | None = None
        self._runs: dict[Connection, object] = {}  # the task of each run of a coroutine
        self._release_pending = False
        self._queue: list[Connection] = []
        self._tasks: set[object] = set()  # the event loop itself holds them by weak references
        connections.answer = self._answer
        connections.end_interrupted = self._end_interrupted

    def release_message(self, released: list[list[int]]) -> Released:
        """
        What to tell the supervisor after a recall. A handler that runs alone makes this worker as
        busy as a blocked one, so it is not offered work again before it is done.
        """
        self._release_pending = bool(self._runs) and not self.overlap
        return Released(released, recalled=not self._release_pending)

    def _answer(self, connection: Connection, request: Request) -> bool:
        """Answer one request; return True if the connection can be asked for the next."""
        head = request.head
        try:
            if head is not self._admitted:
                self._gate.check(head)
                self._admitted = head
            if head.path == "/run":
                return self._run(connection, request)
            self._forward_init(connection, request)
            return False
        except RequestError as error:
            if self._is_proper(request):
                raise  # an exception from outside looked like the sender's
            body = error_body(str(error))
            return self._respond(connection, request, error.status, body, error.headers)

    def _is_proper(self, request: Request) -> bool:
        """Return whether a request that was refused is proper when it is looked at once more."""
        if request.head.path == "/init":
            return False
        try:
            self._gate.check(request.head)
            read_run(request.body, self.profile)
        except RequestError:
            return False
        return True

    def _run(self, connection: Connection, request: Request) -> bool:
        action = self.action
        if action is None:
            return self._run_without_action(connection, request)
        if self.stopping and self.config.openwhisk:
            return self._refuse_run(connection, request, Cause.STOPPING)
        if action.is_async and not self.overlap and self._runs:
            self._wait_for_turn(connection)
            return False
        run = read_run(request.body, self.profile)
        if self.sentinels is not None:
            self._scoreboard.set_sentinels(connection.number, 0)
        self._scoreboard.set_running(
            connection.number, monotonic(), self._budget(run.context), connection.sent
        )
        if connection.has_pipelined:
            last = CloseAfter.READ_AHEAD
        else:
            last = CloseAfter.NO if request.head.keep_alive else CloseAfter.REQUESTED
        self._scoreboard.set_close(connection.number, last)
        if not self._scoreboard.timer_on:
            self._connections.channel.send(StartTimer())
        if action.is_async:
            self._start(connection, request, run)
            return False
        status, body = invocation.call(action, run, self.profile, request.body)
        return self._end_run(connection, request, status, body)

    def _end_run(self, connection: Connection, request: Request, status: int, body: bytes) -> bool:
        if getpid() != self._connections.pid:
            invocation.exit_now(0)  # a copy of us that the handler made and let return
        if self.sentinels is not None:
            number = connection.number
            self.sentinels.write(lambda streams: self._scoreboard.set_sentinels(number, streams))
        return self._respond(connection, request, status, body)

    def _end_interrupted(self, connection: Connection, error: BaseException) -> bool:
        """
        Answer a request whose run or answer was broken off in our own code.

        The answer is the same as if the handler had raised the exception. Return True if the
        connection can be asked for more.
        """
        if connection in self._runs:
            return False  # all was done to begin the run before it was broken off
        request = recovery.reread(connection)
        if request is None:
            raise error
        status, body = invocation.failure(error, self.profile)
        if connection.stage is Stage.RUNNING:
            connection.stage = Stage.LISTENING
            self._connections.watch(connection)
        if self.sentinels is not None:
            owed = BOTH & ~self._scoreboard.row(connection.number).ended
            write_missing(self._connections.streams.outputs, owed)
            self._scoreboard.set_sentinels(connection.number, BOTH)
        return self._respond(connection, request, status, body)

    # -- coroutines -------------------------------------------------------------------------

    def _wait_for_turn(self, connection: Connection) -> None:
        """Let a request wait for its turn here. Its connection can be taken back meanwhile."""
        connection.save_request()
        connection.stage = Stage.QUEUED
        # Or more of it would be read, and served twice.
        self._connections.loop.unwatch(connection.socket.fileno())
        self._queue.append(connection)

    def _start(self, connection: Connection, request: Request, run: RunRequest) -> None:
        """Begin a run that others may overlap; its connection is not read until it is answered."""
        connections = self._connections
        connection.stage = Stage.RUNNING
        connections.loop.unwatch(connection.socket.fileno())
        task = cast("AsyncioLoop", connections.loop).asyncio.create_task(self._call_async(run))

        def finish(connection: Connection) -> Request | None:
            if self._runs.get(connection) is not task:
                return None  # an exception from outside ended this run and was its answer
            del self._runs[connection]
            connection.stage = Stage.LISTENING
            connections.watch(connection)
            answer = (BadResult.status, CANCELLED) if task.cancelled() else task.result()
            free = self._end_run(connection, request, *answer)
            return connection.next_request() if free else None

        def done() -> None:
            connections.with_claim(connection, finish)
            self._run_next()

        self._runs[connection] = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: fatal(done)())

    async def _call_async(self, run: RunRequest) -> tuple[int, bytes]:
        """
        Call the handler.

        If the handler forked a copy of this process, the copy ends here, before asyncio would
        report it.
        """
        answer = await invocation.call_async(cast("Action", self.action), run, self.profile)
        if self._connections.forked:
            invocation.exit_now(0)
        return answer

    def _run_next(self) -> None:
        """Begin the next request that waits, after a run has ended."""
        if self._release_pending and not self._runs:
            self._release_pending = False
            self._connections.channel.send(Released(recalled=True))
        while self._queue and not self._runs:
            connection = self._queue.pop(0)
            if self._connections.has(connection):
                connection.stage = Stage.LISTENING
                self._connections.with_claim(connection, self._connections.resume)
                self._connections.watch_idle(connection)

    # -- answers ----------------------------------------------------------------------------

    def _respond(
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
        keep_alive = request.head.keep_alive and not self.stopping
        if not keep_alive:
            connection.after = After.CLOSE
        if isinstance(request.body, memoryview):
            request.body.release()
        if connection.answer(
            status,
            body,
            self._connections.headers + headers,
            keep_alive=keep_alive,
            minor=request.head.minor,
            head_only=request.head.method == "HEAD",
        ):
            return self._connections.response_sent(connection)
        self._connections.wait_to_write(connection)
        return False

    def _run_without_action(self, connection: Connection, request: Request) -> bool:
        if connection.fallback:
            return self._refuse_run(connection, request, Cause(connection.fallback))
        connection.save_request(Phase.PARKED)
        self._connections.release(connection)
        return False

    def _refuse_run(self, connection: Connection, request: Request, cause: Cause) -> bool:
        status, text = failure_response(self.profile, cause, self.detail)
        return self._respond(connection, request, status, error_body(text))

    def _forward_init(self, connection: Connection, request: Request) -> None:
        """Lend an ``/init`` to the supervisor, which carries it out and answers."""
        # A spare whose fallback is to park stands in for workers, so there is an action.
        if not self.config.reinit and connection.fallback not in WITHOUT_ACTION:
            self._connections.streams.outputs[2].write(f"{INIT_TWICE}\n".encode())
            raise Forbidden(INIT_TWICE)
        length = len(request.body)
        spill, offset = connection.take_body(request)
        self._connections.remove(connection)
        keep = request.head.keep_alive
        self._connections.channel.send(
            InitReceived(connection.number, spill.number, offset, length, not keep)
        )
        self._connections.channel.flush_all()  # or it would die with this process, and nobody would answer
        self._connections.exit_if_drained()
