"""
Every error that hotwhisk raises on purpose, as one tree.

    HotwhiskError
    ├── UsageError            the command line or a variable is wrong           exit 2
    ├── ServerError           a running server could not be reached or said no  exit 1
    ├── StartError            the server could not start (port, folder, limit)  exit 1
    ├── RequestError          the sender of a request is to blame               HTTP 400
    │   ├── HeadTooLarge                                                        HTTP 431
    │   ├── BodyTooLarge                                                        HTTP 413
    │   ├── NotImplementedCoding                                                HTTP 501
    │   ├── VersionNotSupported                                                 HTTP 505
    │   ├── ExpectationFailed                                                   HTTP 417
    │   ├── NotFound                                                            HTTP 404
    │   ├── MethodNotAllowed                                                    HTTP 405
    │   ├── UnsupportedMediaType                                                HTTP 415
    │   ├── Unauthorized                                                        HTTP 401
    │   └── Forbidden                                                           HTTP 403
    ├── VersionError          the posted version is to blame                    HTTP 502
    │   ├── NoCode            nothing was posted                                HTTP 403
    │   ├── BuildFailed       it could not be unpacked or compiled              HTTP 502
    │   └── LoadFailed        it could not be imported or has no handler        HTTP 502
    └── ActionError           the running action is to blame                    HTTP 502
        └── BadResult         what the handler returned is not a JSON object or array

Who is to blame is the type; ``status`` is the HTTP status that an answer bears and
``exit_code`` the code that a command leaves with. The text says what was wrong, what
was expected and what to do, and stands alone under the one key ``error`` of an answer.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar, Final


class HotwhiskError(Exception):
    """Root of the tree: every error that hotwhisk raises on purpose."""

    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1


class UsageError(HotwhiskError):
    """A command line, a configuration variable or a call of ``start()`` that makes no sense."""

    exit_code = 2


class ServerError(HotwhiskError):
    """A command could not reach a running server, or the server refused what was asked."""


class StartError(HotwhiskError):
    """
    The server cannot start.

    The port is taken, a folder is not writable, a limit is too low, or the kernel refuses something
    that the server needs.
    """


class RequestError(HotwhiskError):
    """An HTTP request that cannot be answered as it was sent. Only its sender is affected."""

    status = 400
    headers: ClassVar[bytes] = b""
    """Further header lines of the answer, each with its CRLF."""


class HeadTooLarge(RequestError):
    """The request line and headers exceed the limit."""

    status = 431


class BodyTooLarge(RequestError):
    """The body exceeds the limit."""

    status = 413


class NotImplementedCoding(RequestError):
    """A transfer coding other than ``chunked``."""

    status = 501


class VersionNotSupported(RequestError):
    """Neither HTTP/1.0 nor HTTP/1.1."""

    status = 505


class ExpectationFailed(RequestError):
    """An ``Expect`` header other than ``100-continue``."""

    status = 417


class NotFound(RequestError):
    """No such path."""

    status = 404


class MethodNotAllowed(RequestError):
    """The path exists, but not for this method."""

    status = 405
    headers = b"Allow: POST\r\n"


class UnsupportedMediaType(RequestError):
    """A batch of events, or an event or a call of an agent in another format than JSON."""

    status = 415


class Unauthorized(RequestError):
    """A token is needed and was missing or wrong."""

    status = 401
    headers = b"WWW-Authenticate: Bearer\r\n"


class Forbidden(RequestError):
    """A request that a web page could have made, or a second ``/init`` where none is allowed."""

    status = 403


class VersionError(HotwhiskError):
    """A posted version that cannot become current; the current version goes on."""

    status = 502


class NoCode(VersionError):
    """An ``/init`` without code."""

    status = 403


class BuildFailed(VersionError):
    """The artifact cannot be unpacked, or its source does not compile."""


class LoadFailed(VersionError):
    """
    The code raised or ended its process while it was imported, or it has no such handler.

    ``traceback`` is what it printed, for those who do not see the log; empty if there is none.
    """

    def __init__(self, text: str, traceback: str = "") -> None:
        super().__init__(text)
        self.traceback = traceback


class ActionError(HotwhiskError):
    """The current action did something for which it has no answer of its own."""

    status = 502


class BadResult(ActionError):
    """The handler returned something that is neither a JSON object nor a JSON array."""


NO_TERMINAL: Final = (
    "breakpoint() and pdb need a terminal, and a worker has none: its standard input is empty; "
    "docs/debugging.md says what works, such as debugpy"
)


def debugger_hint(error: BaseException) -> str:
    """
    Return why a debugger in the action quit at once, and what to do; "" for other errors.

    pdb quits by ``BdbQuit``, and from Python 3.14 on by ``sys.exit(1)``.
    """
    if type(error).__name__ == "BdbQuit":
        return NO_TERMINAL
    frame = error.__traceback__ if isinstance(error, SystemExit) else None
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    raised_in = frame.tb_frame.f_globals.get("__name__") if frame is not None else None
    return NO_TERMINAL if raised_in == "pdb" else ""
