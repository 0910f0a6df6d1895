"""
Answer the requests of one worker: call the action for ``/run``, forward ``/init``.

There is no proxy in front of the worker, and no thread behind it. A request on a kept connection
costs four system calls: wait, read, getpid, write. `hotwhisk.worker.connections` says when a
connection may be touched.
"""

from __future__ import annotations

from functools import partial
from os import getpid
from time import monotonic

from hotwhisk.access.check import AccessCheck
from hotwhisk.action.environ import TraceVariables
from hotwhisk.config.platform import Profile
from hotwhisk.errors import RequestError
from hotwhisk.ipc.messages import Released, StartTimer
from hotwhisk.ipc.scoreboard import CloseAfter, Phase
from hotwhisk.ipc.worker_counters import RAN
from hotwhisk.openwhisk.answers import Cause, failure_answer
from hotwhisk.openwhisk.bodies import error_body, read_run
from hotwhisk.openwhisk.part_forms import AnswersInParts
from hotwhisk.openwhisk.sentinels import BOTH, Sentinels, write_missing
from hotwhisk.worker import invocation, repair
from hotwhisk.worker.async_runs import AsyncRuns
from hotwhisk.worker.connection import After, Connection, Stage
from hotwhisk.worker.connections import Connections, Place
from hotwhisk.worker.init_forwarding import forward_init
from hotwhisk.worker.joining import Streamer, join
from hotwhisk.worker.own_process import end_copy
from hotwhisk.worker.part_stream import PartStream
from hotwhisk.worker.streaming import send_parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hotwhisk.action.action import Action
    from hotwhisk.actionloop.bridge import Program
    from hotwhisk.config.config import Config
    from hotwhisk.http1.http1 import Request
    from hotwhisk.http1.trace_context import TraceContext
    from hotwhisk.ipc.channel import Channel
    from hotwhisk.ipc.scoreboard import Scoreboard
    from hotwhisk.openwhisk.bodies import RunRequest
    from hotwhisk.openwhisk.part_forms import Parts
    from hotwhisk.worker.copies import Respond
    from hotwhisk.worker.invocation import Call, Read, RunAnswer
    from hotwhisk.worker.optional_parts import OptionalParts


class Requests:
    """Answers the requests that come on the ``connections`` of one worker."""

    def __init__(
        self,
        channel: Channel,
        scoreboard: Scoreboard,
        place: Place,
        config: Config,
        handle_messages: Callable[[], None],
        parts: OptionalParts,
    ) -> None:
        self.marker = parts.mark_runs(channel, place.lowest) if parts.mark_runs else None
        """Marks the runs in the output of the action; None if the log is text."""
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
        self.has_version = False
        """Whether a version is current, as the latest assignment said."""
        self.config = config
        self.profile = config.profile
        streams = Sentinels(self.connections.streams.outputs, utf8=config.openwhisk)
        self.sentinels = streams if config.openwhisk else None
        self._scoreboard = scoreboard
        self._counters = self.connections.counters
        self.access = AccessCheck(config, parts.read_tokens)
        self._only_run = parts.only_run
        self._budget = invocation.Budget(config)
        self._trace_variables = TraceVariables()
        self.respond = self._responder()
        """Sends the answer of a run; in a trial, `copies` sends a copy after it."""
        self.async_runs = AsyncRuns(self.connections, self)

    def release_message(self, released: list[list[int]]) -> Released:
        """Return the message that ends a recall: these connections were released."""
        return self.async_runs.release_message(released, overlap=self.overlap)

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

    def _run(  # noqa: C901 - in one piece, because each request pays for a call
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
        if action.is_async and not self.overlap and self.async_runs.running:
            self.async_runs.wait_for_turn(connection)
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
        if self._only_run is not None:
            self._only_run.begin(self.connections, connection)
        if action.is_async:
            self.async_runs.start(connection, request, run, action)  # type: ignore[arg-type]
            return False
        try:
            answer = call(action, run, self.profile, request)
        except AnswersInParts as found:
            parts = found.parts  # not run here, or its exceptions would name this one as context
        else:
            return self.end_run(connection, request, answer)
        return self._answer_in_parts(connection, request, run, parts)

    def _answer_in_parts(
        self, connection: Connection, request: Request, run: RunRequest, parts: Parts
    ) -> bool:
        """Run the generator that a synchronous handler has returned."""
        if self.profile is Profile.OPENWHISK:
            answer = join(parts, self.make_streamer(run), self.profile)
            return self.end_run(connection, request, answer)
        stream = self.make_stream(connection, request)
        return self.end_stream(stream, send_parts(parts, stream, self.profile))

    def end_run(self, connection: Connection, request: Request, answer: RunAnswer) -> bool:
        """Send the answer of a run; return whether the next request can be read."""
        if getpid() != self.connections.pid:
            end_copy(self.connections.pid)  # compared here too: each request pays for a call
        status, body, failed = answer
        if self.marker is not None:
            self.marker.end(connection.number, status, len(body), failed=failed)
        self._counters.seconds = monotonic() - connection.began
        self._counters.ran = RAN[failed]
        if self.sentinels is not None:
            self.sentinels.write(partial(self._scoreboard.set_sentinels, connection.number))
        return self.respond(connection, request, status, body)

    def call_async(
        self, action: Action, run: RunRequest, trace: TraceContext | None
    ) -> Awaitable[RunAnswer]:
        """Call an asynchronous handler; return what gives its answer."""
        return invocation.call_async(action, run, self.profile, trace)

    def make_stream(self, connection: Connection, request: Request) -> PartStream:
        """Return what sends the response to a run in parts."""
        keep_alive = request.head.keep_alive and not self.stopping
        return PartStream(self.connections, connection, request, keep_alive=keep_alive)

    def make_streamer(self, run: RunRequest) -> Streamer:
        """Return the connection to the streamer that a run asks for."""
        event = run.value if self.config.streamer else None
        return Streamer(event, self.connections.streams.reopen_closed)

    def end_stream(self, stream: PartStream, answer: RunAnswer) -> bool:
        """End a run whose handler has yielded; return whether the next request can be read."""
        connection, request = stream.connection, stream.request
        if not stream.answers:
            return self.end_run(connection, request, answer)
        failed = stream.was_late() or answer[2]
        if self.marker is not None:
            self.marker.end(connection.number, 200, stream.length, failed=failed)
        self._counters.seconds = monotonic() - connection.began
        self._counters.ran = RAN[failed]
        self._counters.bytes_in += request.end
        if isinstance(request.body, memoryview):
            request.body.release()
        if not stream.whole:
            stream.cut()
            return False
        if not stream.keep_alive or self.stopping:
            connection.after = After.CLOSE
        if not stream.end():
            self.connections.wait_to_write(connection)
            return False
        if self.marker is not None:
            self.marker.sent(connection.number)
        return self.connections.response_sent(connection)

    def end_interrupted(self, connection: Connection, error: BaseException) -> bool:
        """See `Answerer`. The response is the same as if the handler had raised the exception."""
        if connection in self.async_runs.running:
            return False  # the run had begun completely before the exception
        request = repair.reread(connection)
        if request is None:
            raise error
        status, body = self._failure(request, error)
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

    def _failure(self, _: Request, error: BaseException) -> tuple[int, bytes]:
        """Return the status and the body that an exception becomes."""
        return invocation.failure(error, self.profile)

    # -- responses --------------------------------------------------------------------------

    def _responder(self) -> Respond:
        """Return what sends the answer of a run."""
        return self._respond

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
        status, text = failure_answer(self.profile, cause, self.detail)
        return self._respond(connection, request, status, error_body(text))
