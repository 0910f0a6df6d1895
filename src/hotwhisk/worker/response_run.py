"""
Make a whole response of a handler's result: status, headers and body.

A ``/run`` is always answered with JSON. Other requests, such as events, are answered with what
their run has made of the result; `hotwhisk.worker.event_requests` sends it.
"""

from __future__ import annotations

from hotwhisk.errors import BadResult
from hotwhisk.http1.http1 import HttpResponse, Request, bare_head
from hotwhisk.openwhisk.bodies import RunRequest
from hotwhisk.openwhisk.part_forms import AnswersInParts
from hotwhisk.worker import invocation
from hotwhisk.worker.connection import Connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.action.action import Action
    from hotwhisk.actionloop.bridge import Program
    from hotwhisk.config.platform import Profile
    from hotwhisk.worker.invocation import RunAnswer

FAILED = 500
"""The status of an exception, which a ``/run`` answers with 200."""


class ResponseRun(RunRequest):
    """A run with a response of its own. ``response`` is set when the handler has returned."""

    __slots__ = ("response",)

    def __init__(self, value: object) -> None:
        super().__init__(value, {})
        self.response: HttpResponse | None = None

    def make_response(self, result: object) -> HttpResponse:
        """
        Return the response that a handler's result becomes.

        Raises:
            BadResult: the result becomes none.
        """
        raise NotImplementedError

    def write(self, result: object) -> bytes:
        """Make the response of a handler's result; return its body."""
        try:
            self.response = response = self.make_response(result)
        except AnswersInParts:
            raise BadResult(
                "the handler yields, but this request is answered whole; expected a function that "
                "returns its result"
            ) from None
        return response.body

    def complete(self, answer: RunAnswer) -> RunAnswer:
        """Return an answer with the status of the response; an exception fails the request."""
        status, body, failed = answer
        if self.response is not None and self.response.body is body:
            return self.response.status, body, failed or self.response.status >= FAILED
        return FAILED if status == 200 else status, body, failed


class ResponseRequest(Request):
    """A request that becomes a `ResponseRun`. ``run`` is set when the request was read."""

    __slots__ = ("run",)

    def __init__(self, request: Request) -> None:
        super().__init__(request.head, request.body, request.end)
        self.run: ResponseRun | None = None

    def make_run(self, body: bytes | memoryview) -> ResponseRun:
        """
        Return the run that the request becomes.

        Raises:
            RequestError: the request is not valid.
        """
        raise NotImplementedError

    def read(self, body: bytes | memoryview, _: Profile) -> ResponseRun:
        """Read the request; return the run that it becomes."""
        self.run = self.make_run(body)
        return self.run

    def response(self, body: bytes) -> HttpResponse | None:
        """Return the response that has this body; None if the body is an error."""
        response = self.run.response if self.run is not None else None
        return response if response is not None and response.body is body else None


def call(
    action: Action | Program, run: RunRequest, profile: Profile, request: Request
) -> RunAnswer:
    """Call a synchronous handler for a `ResponseRun`; return its answer."""
    assert isinstance(run, ResponseRun)
    return run.complete(invocation.call(action, run, profile, request, run.write))


def answer_whole(  # noqa: PLR0913 - those of `Connection.answer`, which it stands for
    connection: Connection,
    status: int,
    body: bytes,
    headers: bytes,
    *,
    keep_alive: bool,
    minor: int,
    head_only: bool,
) -> bool:
    """Send a response as `Connection.answer` does; the ``headers`` say what the body is."""
    head = bare_head(status, headers, keep_alive=keep_alive, minor=minor)
    return connection.answer_with_head(head, b"" if head_only else body)
