"""
Answer CloudEvents beside ``/run`` and ``/init``, with ``--cloudevents``.

An event is a run like any other: it is parked, counted, limited and answered for in the same way.
Two things differ. The handler gets the data of the event as its argument. And its result becomes a
reply of CloudEvents: nothing, JSON, or an event. What fails has a status of 500 or more, so that
the sender tries again.

Knative asks whether a container lives and is ready. The spare says that too, while the workers are
in a handler. Who is not ready lets the question wait, as a run would.

A server without the option does not import this module.
"""

from __future__ import annotations

from os import urandom
from time import gmtime, strftime

from hotwhisk.cloudevents.event_reader import read_event
from hotwhisk.cloudevents.event_reply import EventReply, json_reply, reply_with
from hotwhisk.errors import RequestError
from hotwhisk.http1.http1 import Request, bare_head
from hotwhisk.openwhisk.answers import Cause
from hotwhisk.openwhisk.bodies import RunRequest, error_body, write_result
from hotwhisk.worker import invocation
from hotwhisk.worker.access import EVENT_PATH
from hotwhisk.worker.connection import Connection
from hotwhisk.worker.own_process import exit_now
from hotwhisk.worker.requests import Requests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hotwhisk.action.action import Action
    from hotwhisk.actionloop.bridge import Program
    from hotwhisk.cloudevents.cloud_event import CloudEvent
    from hotwhisk.config.platform import Profile
    from hotwhisk.http1.trace_context import TraceContext
    from hotwhisk.worker.invocation import RunAnswer

LIVENESS, READINESS = "/health/liveness", "/health/readiness"
TEXT = b"Content-Type: text/plain; charset=utf-8\r\n"
FAILED = 500
"""The status of an exception, which a ``/run`` answers with 200."""


class EventRun(RunRequest):
    """A run with an event. ``reply`` is set when the handler has returned."""

    __slots__ = ("cloudevent", "reply")

    def __init__(self, event: CloudEvent) -> None:
        super().__init__({} if event.data is None else event.data, {})
        self.cloudevent = event
        self.reply: EventReply | None = None

    def write(self, result: object) -> bytes:
        """
        Make a reply of the handler's result; return its body.

        Raises:
            BadResult: the result is neither nothing, nor JSON, nor an event that can be sent.
        """
        reply = reply_with(result, new_attributes)
        self.reply = reply = reply or json_reply(write_result(result))
        return reply.body

    def complete(self, answer: RunAnswer) -> RunAnswer:
        """Return an answer with the status of its reply; an exception fails the request."""
        status, body, failed = answer
        if self.reply is not None and self.reply.body is body:
            return self.reply.status, body, failed
        return FAILED if status == 200 else status, body, failed


class EventRequest(Request):
    """A request with an event. ``run`` is set when the event was read."""

    __slots__ = ("run",)

    def __init__(self, request: Request) -> None:
        super().__init__(request.head, request.body, request.end)
        self.run: EventRun | None = None

    def read(self, body: bytes | memoryview, _: Profile) -> EventRun:
        """
        Read the event.

        Raises:
            RequestError: it is not a valid event.
        """
        self.run = EventRun(read_event(self.head.headers, body))
        return self.run

    def reply(self, body: bytes) -> EventReply | None:
        """Return the reply that has this body; None if the body is an error."""
        reply = self.run.reply if self.run is not None else None
        return reply if reply is not None and reply.body is body else None


class EventRequests(Requests):
    """Answers the requests of one worker, CloudEvents among them."""

    def answer(self, connection: Connection, request: Request) -> bool:
        """Answer one request; return whether the next one can be read."""
        head = request.head
        if head.path in (LIVENESS, READINESS):
            return self._answer_probe(connection, request)
        if head.path != EVENT_PATH:
            return super().answer(connection, request)
        event = EventRequest(request)
        try:
            if head is not self.access.admitted:
                self.access.check(head)
            return self._run(connection, event, event.read, call)
        except RequestError as error:
            if self._is_valid(request):
                raise  # an exception from outside, not a fault of the request
            body = error_body(str(error))
            return self._respond(connection, request, error.status, body, error.headers)

    def _answer_probe(self, connection: Connection, request: Request) -> bool:
        """Answer a probe. It needs no token: a kubelet has no way to keep one."""
        head = request.head
        if head.method not in ("GET", "HEAD"):
            body = error_body(f"{head.path} is for GET and HEAD, not for {head.method}")
            return self._respond(connection, request, 405, body, b"Allow: GET, HEAD\r\n")
        if head.path == READINESS:
            if self.stopping:
                return self._refuse_run(connection, request, Cause.STOPPING)
            if self.action is None:
                return self._run_without_action(connection, request)
        return self._respond(connection, request, 200, b"OK\n", TEXT, answer_event)

    def _is_valid(self, request: Request) -> bool:
        """Check a refused event a second time; return whether it is valid after all."""
        try:
            self.access.check(request.head)
            read_event(request.head.headers, request.body)
        except RequestError:
            return False
        return True

    async def _call_async(
        self, action: Action, run: RunRequest, trace: TraceContext | None
    ) -> RunAnswer:
        if not isinstance(run, EventRun):
            return await super()._call_async(action, run, trace)
        answer = await invocation.call_async(action, run, self.profile, trace, run.write)
        if self.connections.forked:
            exit_now(0)
        return run.complete(answer)

    def _respond(
        self,
        connection: Connection,
        request: Request,
        status: int,
        body: bytes,
        headers: bytes = b"",
        answer: Callable[..., bool] = Connection.answer,
    ) -> bool:
        reply = request.reply(body) if isinstance(request, EventRequest) else None
        if reply is not None:
            status, headers, answer = reply.status, reply.headers, answer_event
        elif status == 200 and request.head.path == EVENT_PATH:
            status = FAILED
        return super()._respond(connection, request, status, body, headers, answer)


def call(
    action: Action | Program, run: RunRequest, profile: Profile, request: Request
) -> RunAnswer:
    """Call a synchronous handler with an event; return its answer."""
    assert isinstance(run, EventRun)
    return run.complete(invocation.call(action, run, profile, request, run.write))


def answer_event(
    connection: Connection,
    status: int,
    body: bytes,
    headers: bytes,
    *,
    keep_alive: bool,
    minor: int,
    head_only: bool,
) -> bool:
    """Send a reply as `Connection.answer` sends JSON; the ``headers`` say what the body is."""
    if status != 204:  # which has no body, and no length of one (RFC 9110, section 8.6)
        headers += b"Content-Length: %d\r\n" % len(body)
    head = bare_head(status, headers, keep_alive=keep_alive, minor=minor)
    return connection.answer_with_head(head, b"" if head_only else body)


def new_attributes() -> dict[str, object]:
    """Return an id and the present time, for an event that was returned without them."""
    return {"id": urandom(16).hex(), "time": strftime("%Y-%m-%dT%H:%M:%SZ", gmtime())}
