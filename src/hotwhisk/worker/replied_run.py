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


class RepliedRun(RunRequest):
    """A run with a response of its own. ``reply`` is set when the handler has returned."""

    __slots__ = ("reply",)

    def __init__(self, value: object) -> None:
        super().__init__(value, {})
        self.reply: HttpResponse | None = None

    def make_reply(self, result: object) -> HttpResponse:
        """
        Return the response that a handler's result becomes.

        Raises:
            BadResult: the result becomes none.
        """
        raise NotImplementedError

    def write(self, result: object) -> bytes:
        """Make the response of a handler's result; return its body."""
        try:
            self.reply = reply = self.make_reply(result)
        except AnswersInParts:
            raise BadResult(
                "the handler yields, but this request is answered whole; expected a function that "
                "returns its result"
            ) from None
        return reply.body

    def complete(self, answer: RunAnswer) -> RunAnswer:
        """Return an answer with the status of the response; an exception fails the request."""
        status, body, failed = answer
        if self.reply is not None and self.reply.body is body:
            return self.reply.status, body, failed or self.reply.status >= FAILED
        return FAILED if status == 200 else status, body, failed


class RepliedRequest(Request):
    """A request that becomes a `RepliedRun`. ``run`` is set when the request was read."""

    __slots__ = ("run",)

    def __init__(self, request: Request) -> None:
        super().__init__(request.head, request.body, request.end)
        self.run: RepliedRun | None = None

    def make_run(self, body: bytes | memoryview) -> RepliedRun:
        """
        Return the run that the request becomes.

        Raises:
            RequestError: the request is not valid.
        """
        raise NotImplementedError

    def read(self, body: bytes | memoryview, _: Profile) -> RepliedRun:
        """Read the request; return the run that it becomes."""
        self.run = self.make_run(body)
        return self.run

    def reply(self, body: bytes) -> HttpResponse | None:
        """Return the response that has this body; None if the body is an error."""
        reply = self.run.reply if self.run is not None else None
        return reply if reply is not None and reply.body is body else None


def call(
    action: Action | Program, run: RunRequest, profile: Profile, request: Request
) -> RunAnswer:
    """Call a synchronous handler for a `RepliedRun`; return its answer."""
    assert isinstance(run, RepliedRun)
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
