"""
Answer the requests of one worker: call the action for ``/run``, forward ``/init``.

There is no proxy in front of the worker, and no thread behind it. A request on a kept connection
costs four system calls: wait, read, getpid, write. `hotwhisk.worker.connections` says when a
connection may be touched.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from os import getpid
from time import monotonic

from hotwhisk.access.check import AccessCheck
from hotwhisk.access.token_files import TokenFiles
from hotwhisk.action.action import Action
from hotwhisk.action.environ import TraceVariables
from hotwhisk.errors import RequestError
from hotwhisk.ipc.messages import Released, StartTimer
from hotwhisk.ipc.scoreboard import CloseAfter, Phase
from hotwhisk.ipc.worker_counters import RAN
from hotwhisk.openwhisk.answers import Cause, failure_response
from hotwhisk.openwhisk.bodies import RunRequest, error_body, read_run
from hotwhisk.openwhisk.sentinels import BOTH, Sentinels, write_missing
from hotwhisk.worker import invocation, only_run, repair
from hotwhisk.worker.connection import After, Connection, Stage
from hotwhisk.worker.connections import Connections, Place
from hotwhisk.worker.event_loop import AsyncioLoop, exit_on_error
from hotwhisk.worker.init_forwarding import forward_init
from hotwhisk.worker.own_process import exit_now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.actionloop.bridge import Program
    from hotwhisk.config.config import Config
    from hotwhisk.http1.http1 import Request
    from hotwhisk.http1.trace_context import TraceContext
    from hotwhisk.ipc.channel import Channel
    from hotwhisk.ipc.scoreboard import Scoreboard
    from hotwhisk.worker.invocation import Call, Read, RunAnswer
    from hotwhisk.worker.run_marker import RunMarker


class Requests:
    """Answers the requests that come on the ``connections`` of one worker."""

    def __init__(
        self,
        channel: Channel,
        scoreboard: Scoreboard,
        place: Place,
        config: Config,
        handle_messages: Callable[[], None],
    ) -> None:
        self.marker: RunMarker | None = None
        """Marks the runs in the output of the action; None if the log is text."""
        if config.json_log:
            from hotwhisk.worker.run_marker import RunMarker  # here, because most servers need none

            self.marker = RunMarker(channel, place.lowest)
        self.connections = Connections(channel, scoreboard, place, self, handle_messages)
        if self.marker is not None:
            self.connections.on_answer_sent = self.marker.sent
        self.action: Action | Program | None = None
        """The loaded action; None in a spare."""
        self.overlap = False
        """Whether runs of the action may overlap in this process."""
        self.stopping = False
        """Whether the server stops. Each connection is closed after its next response."""
        self.detail = ""
        """The text that follows the cause in a response without an action."""
        self.config = config
        self.profile = config.profile
        streams = Sentinels(self.connections.streams.outputs, utf8=config.openwhisk)
        self.sentinels = streams if config.openwhisk else None
        self._scoreboard = scoreboard
        self._counters = self.connections.counters
        self.access = AccessCheck(config, TokenFiles(config).read_again)
        self._budget = invocation.Budget(config)
        self._trace_variables = TraceVariables()
        self._runs: dict[Connection, object] = {}  # the task of each run of a coroutine
        self._release_pending = False
        self._queue: list[Connection] = []
        self._tasks: set[object] = set()  # the event loop itself holds them by weak references

    def release_message(self, released: list[list[int]]) -> Released:
        """
        Return the message that ends a recall: these connections were released.

        If a coroutine runs and other runs may not overlap it, this worker is as busy as a blocked
        one. So the message leaves ``recalled`` unset, and `_run_next` sends that after the run.
        """
        self._release_pending = bool(self._runs) and not self.overlap
        return Released(released, recalled=not self._release_pending)

    def answer(self, connection: Connection, request: Request) -> bool:
        """Answer one request; return whether the next one can be read."""
        head = request.head
        try:
            if head is not self.access.admitted:
                self.access.check(head)
            if head.path == "/run":
                return self._run(connection, request)
            forward_init(self.connections, connection, request, self.config)
            return False
        except RequestError as error:
            if self.access.is_valid(request, self.profile):
                raise  # an exception from outside, not a fault of the request
            body = error_body(str(error))
            return self._respond(connection, request, error.status, body, error.headers)

    def _run(
        self,
        connection: Connection,
        request: Request,
        read: Read = read_run,
        call: Call = invocation.call,
    ) -> bool:
        """Run the action; ``read`` makes a run of the body, ``call`` makes the answer."""
        action = self.action
        if action is None or (self.config.fresh and self.connections.draining):
            return self._run_without_action(connection, request)
        if self.stopping and self.config.openwhisk:
            return self._refuse_run(connection, request, Cause.STOPPING)
        if action.is_async and not self.overlap and self._runs:
            self._wait_for_turn(connection)
            return False
        run = read(request.body, self.profile)
        trace = request.head.trace
        if (trace is not None or self._trace_variables.are_set) and not self.overlap:
            self._trace_variables.show(trace)
        if self.sentinels is not None:
            self._scoreboard.set_sentinels(connection.number, 0)
        if self.marker is not None:
            self.marker.begin(connection.number, run.context, trace)
        budget, sent = self._budget(run.context), connection.sent
        connection.began = began = monotonic()
        self._scoreboard.set_running(connection.number, began, budget, sent)
        last = CloseAfter.NO if request.head.keep_alive else CloseAfter.REQUESTED
        close_after = CloseAfter.READ_AHEAD if connection.pipelined else last
        self._scoreboard.set_close(connection.number, close_after)
        if not self._scoreboard.timer_on:
            self.connections.channel.send(StartTimer())
        if self.config.fresh:
            only_run.begin(self.connections, connection)
        if action.is_async:
            self._start(connection, request, run)
            return False
        answer = call(action, run, self.profile, request)
        return self._end_run(connection, request, answer)

    def _end_run(self, connection: Connection, request: Request, answer: RunAnswer) -> bool:
        if getpid() != self.connections.pid:
            exit_now(0)  # a fork of this process that returned from the handler
        status, body, failed = answer
        if self.marker is not None:
            self.marker.end(connection.number, status, len(body), failed=failed)
        self._counters.seconds = monotonic() - connection.began
        self._counters.ran = RAN[failed]
        if self.sentinels is not None:
            self.sentinels.write(partial(self._scoreboard.set_sentinels, connection.number))
        return self._respond(connection, request, status, body)

    def end_interrupted(self, connection: Connection, error: BaseException) -> bool:
        """
        Answer a request after an exception broke off its run or its response in our own code.

        The response is the same as if the handler had raised the exception. Return whether the
        next request can be read.
        """
        if connection in self._runs:
            return False  # the run had begun completely before the exception
        request = repair.reread(connection)
        if request is None:
            raise error
        status, body = invocation.failure(error, self.profile)
        self._counters.interrupted(connection.number, monotonic() - connection.began)
        if self.marker is not None:
            self.marker.end(connection.number, status, len(body), failed=True)
        if connection.stage is Stage.RUNNING:
            connection.stage = Stage.LISTENING
            self.connections.watch(connection)
        if self.sentinels is not None:
            missing = BOTH & ~self._scoreboard.row(connection.number).ended
            write_missing(self.connections.streams.outputs, missing)
            self._scoreboard.set_sentinels(connection.number, BOTH)
        return self._respond(connection, request, status, body)

    # -- coroutines -------------------------------------------------------------------------

    def _wait_for_turn(self, connection: Connection) -> None:
        """Queue a request until the current run ends. A recall can take it meanwhile."""
        connection.save_request()
        connection.stage = Stage.QUEUED
        # If the loop read more of the connection, the request would be answered twice.
        self.connections.loop.unwatch(connection.socket.fileno())
        self._queue.append(connection)

    def _start(self, connection: Connection, request: Request, run: RunRequest) -> None:
        """Start a coroutine's run; its connection is not read again before the response."""
        connections = self.connections
        connection.stage = Stage.RUNNING
        connections.loop.unwatch(connection.socket.fileno())
        loop, action = connections.loop, self.action
        assert isinstance(loop, AsyncioLoop)
        assert isinstance(action, Action)
        task = loop.asyncio.create_task(self._call_async(action, run, request.head.trace))

        def finish(connection: Connection) -> Request | None:
            if self._runs.get(connection) is not task:
                return None  # an exception from outside has ended this run and was its response
            del self._runs[connection]
            connection.stage = Stage.LISTENING
            connections.watch(connection)
            answer = invocation.CANCELLED if task.cancelled() else task.result()
            free = self._end_run(connection, request, answer)
            return connection.next_request() if free else None

        def done() -> None:
            connections.with_claim(connection, finish)
            self._run_next()

        self._runs[connection] = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: exit_on_error(done)())

    async def _call_async(
        self, action: Action, run: RunRequest, trace: TraceContext | None
    ) -> RunAnswer:
        """Call the handler; return its answer. A copy of this process that it forked ends here."""
        answer = await invocation.call_async(action, run, self.profile, trace)
        if self.connections.forked:
            exit_now(0)
        return answer

    def _run_next(self) -> None:
        """Start the next queued request after a run has ended."""
        if self._release_pending and not self._runs:
            self._release_pending = False
            self.connections.channel.send(Released(recalled=True))
        while self._queue and not self._runs:
            connection = self._queue.pop(0)
            if self.connections.has(connection):
                connection.stage = Stage.LISTENING
                self.connections.with_claim(connection, self.connections.resume)
                self.connections.watch_idle(connection)

    # -- responses --------------------------------------------------------------------------

    def _respond(
        self,
        connection: Connection,
        request: Request,
        status: int,
        body: bytes,
        headers: bytes = b"",
        answer: Callable[..., bool] = Connection.answer,
    ) -> bool:
        """
        Send a response; return whether it was sent whole and the next request can be read.

        ``headers`` are lines besides those that every response has. ``answer`` sends it.
        """
        keep_alive = request.head.keep_alive and not self.stopping
        if not keep_alive:
            connection.after = After.CLOSE
        self._counters.bytes_in += request.end
        if request.head.trace is not None:
            headers += request.head.trace.header_lines
        if isinstance(request.body, memoryview):
            request.body.release()
        if answer(
            connection,
            status,
            body,
            self.connections.headers + headers,
            keep_alive=keep_alive,
            minor=request.head.minor,
            head_only=request.head.method == "HEAD",
        ):
            if self.marker is not None:
                self.marker.sent(connection.number)
            return self.connections.response_sent(connection)
        self.connections.wait_to_write(connection)
        return False

    def _run_without_action(self, connection: Connection, request: Request) -> bool:
        if connection.run_error:
            return self._refuse_run(connection, request, Cause(connection.run_error))
        connection.save_request(Phase.PARKED)
        self.connections.release(connection)
        return False

    def _refuse_run(self, connection: Connection, request: Request, cause: Cause) -> bool:
        status, text = failure_response(self.profile, cause, self.detail)
        return self._respond(connection, request, status, error_body(text))
