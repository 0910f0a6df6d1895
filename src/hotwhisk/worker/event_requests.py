"""
Answer CloudEvents beside ``/run`` and ``/init``, with ``--cloudevents``.

An event is a run like any other: it is parked, counted, limited and answered for in the same way.
Two things differ. The handler gets the data of the event as its argument. And its result becomes a
reply of CloudEvents: nothing, JSON, or an event. What fails has a status of 500 or more, so that
the sender tries again.

Knative asks whether a container lives and is ready. The spare says that too, while the workers are
in a handler. It says so at once: anyone may ask, so a question must not take a place among the runs
that wait.

A server without the option does not import this module.
"""

from __future__ import annotations

from os import urandom
from time import gmtime, strftime

from hotwhisk.access.check import EVENT_PATH, PATHS
from hotwhisk.cloudevents.event_reader import read_event
from hotwhisk.cloudevents.event_reply import NO_CONTENT, json_reply, reply_with
from hotwhisk.errors import BadResult, RequestError
from hotwhisk.openwhisk.answers import Cause
from hotwhisk.openwhisk.bodies import error_body, write_result
from hotwhisk.worker import invocation
from hotwhisk.worker.event_loop import AsyncioLoop
from hotwhisk.worker.event_sink import Delivery, overrides, sink_url
from hotwhisk.worker.own_process import end_copy
from hotwhisk.worker.requests import Requests
from hotwhisk.worker.response_run import FAILED, ResponseRequest, ResponseRun, answer_whole, call
from hotwhisk.worker.wsgi import WsgiFunction, WsgiRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.action.action import Action
    from hotwhisk.cloudevents.cloud_event import CloudEvent
    from hotwhisk.http1.http1 import HttpResponse, Request
    from hotwhisk.http1.trace_context import TraceContext
    from hotwhisk.openwhisk.bodies import RunRequest
    from hotwhisk.worker.connection import Connection
    from hotwhisk.worker.copies import Respond
    from hotwhisk.worker.invocation import RunAnswer

LIVENESS, READINESS = "/health/liveness", "/health/readiness"
ALIVE = b"OK\n"
ALIVE_HEADERS = b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n"


class EventRun(ResponseRun):
    """A run with an event. ``delivery`` is set if the handler's own event goes to a sink."""

    __slots__ = ("cloudevent", "delivery")

    def __init__(self, event: CloudEvent) -> None:
        super().__init__({} if event.data is None else event.data)
        self.cloudevent = event
        self.delivery: Delivery | None = None

    def make_response(self, result: object) -> HttpResponse:
        """See `ResponseRun`. The result is nothing, JSON, or an event that can be sent."""
        url = sink_url()
        reply = reply_with(result, new_attributes, overrides() if url else None)
        if reply is None:
            return json_reply(write_result(result))
        if url and reply is not NO_CONTENT:
            self.delivery = Delivery(url, reply)
            return NO_CONTENT
        return reply

    def complete(self, answer: RunAnswer) -> RunAnswer:
        """See `ResponseRun`. An event that the sink does not take has failed."""
        problem = self.delivery.send() if self.delivery is not None else ""
        if problem:
            self.response = None
            return BadResult.status, error_body(problem), True
        return super().complete(answer)


class EventRequest(ResponseRequest):
    """A request with an event."""

    __slots__ = ()

    def make_run(self, body: bytes | memoryview) -> EventRun:
        """See `ResponseRequest`."""
        return EventRun(read_event(self.head.headers, body))


class EventRequests(Requests):
    """Answers the requests of one worker, CloudEvents among them."""

    def answer(self, connection: Connection, request: Request) -> bool:
        """Answer one request; return whether the next one can be read."""
        head = request.head
        if head.path in (LIVENESS, READINESS):
            return self._answer_probe(connection, request)
        event = self._converted(connection, request)
        if event is None:
            return super().answer(connection, request)
        try:
            self._check(event)
            return self._run(connection, event, event.read, call)
        except RequestError as error:
            if self._is_valid(event):
                raise  # an exception from outside, not a fault of the request
            body = error_body(str(error))
            return self._respond(connection, request, error.status, body, error.headers)

    def _converted(self, connection: Connection, request: Request) -> ResponseRequest | None:
        """
        Return the request as an event, or as one to an application; None if it is neither.

        A spare does not know which paths the action will have. So it takes any of them for an
        event, and a worker with the action reads the request again.
        """
        if not self._has_own_response(request):
            return None
        if self._calls_application:
            return WsgiRequest(request, _client(connection))
        return EventRequest(request)

    def _has_own_response(self, request: Request) -> bool:
        """Return whether a request is an event, or one to an application."""
        path = request.head.path
        if self._calls_application:
            return path != "/init"
        return path == EVENT_PATH or (self.action is None and path not in PATHS)

    @property
    def _calls_application(self) -> bool:
        return self.action is not None and isinstance(self.action.handler, WsgiFunction)

    def _check(self, request: ResponseRequest) -> None:
        """Refuse a request that may not come: see `AccessCheck`."""
        head = request.head
        if self.action is None or isinstance(request, WsgiRequest):
            self.access.check_caller(head)  # any path and any method
        elif head is not self.access.admitted:
            self.access.check(head)

    def _answer_probe(self, connection: Connection, request: Request) -> bool:
        """Answer a probe. It needs no token: a kubelet has no way to keep one."""
        head = request.head
        if head.method not in ("GET", "HEAD"):
            body = error_body(f"{head.path} is for GET and HEAD, not for {head.method}")
            return self._respond(connection, request, 405, body, b"Allow: GET, HEAD\r\n")
        if head.path == READINESS:
            if self.stopping:
                return self._refuse_run(connection, request, Cause.STOPPING)
            if self.action is None and connection.run_error:
                return self._refuse_run(connection, request, Cause(connection.run_error))
            if self.action is None and not self.has_version:
                body = error_body("no version is current: the first one is still loading")
                return self._respond(connection, request, 503, body)
        return self._respond(connection, request, 200, ALIVE, ALIVE_HEADERS, answer_whole)

    def _is_valid(self, request: ResponseRequest) -> bool:
        """Check a refused request a second time; return whether it is valid after all."""
        try:
            self._check(request)
            request.make_run(request.body)
        except RequestError:
            return False
        return True

    async def call_async(
        self, action: Action, run: RunRequest, trace: TraceContext | None
    ) -> RunAnswer:
        """See `Requests`."""
        if not isinstance(run, ResponseRun):
            return await super().call_async(action, run, trace)
        answer = await invocation.call_async(action, run, self.profile, trace, run.write)
        end_copy(self.connections.pid)  # before the copy delivers the event too
        if isinstance(run, EventRun) and run.delivery is not None:
            loop = self.connections.loop
            assert isinstance(loop, AsyncioLoop)
            return await loop.asyncio.run_in_executor(None, run.complete, answer)
        return run.complete(answer)

    def _failure(self, request: Request, error: BaseException) -> tuple[int, bytes]:
        status, body = super()._failure(request, error)
        return FAILED if status == 200 and self._has_own_response(request) else status, body

    def _responder(self) -> Respond:
        return self._respond_to_run

    def _respond_to_run(
        self, connection: Connection, request: Request, status: int, body: bytes
    ) -> bool:
        response = request.response(body) if isinstance(request, ResponseRequest) else None
        if response is None:
            return self._respond(connection, request, status, body)
        return self._respond(
            connection, request, response.status, body, response.headers, answer_whole
        )


def _client(connection: Connection) -> str:
    """Return the address of a client; empty if it has gone."""
    try:
        return str(connection.socket.getpeername()[0])
    except OSError:
        return ""


def new_attributes() -> dict[str, object]:
    """Return an id and the present time, for an event that was returned without them."""
    return {"id": urandom(16).hex(), "time": strftime("%Y-%m-%dT%H:%M:%SZ", gmtime())}
