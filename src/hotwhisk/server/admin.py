"""
Answer ``/healthz``, ``/readyz`` and ``/metrics`` at the address of ``--admin``.

The supervisor answers, and neither asks nor waits for a worker. So there is an answer also while
every worker hangs in the action. `questions` has the limits of connections, bytes and time.

The two probes say a word each, and need no token: a kubelet has no way to keep one. ``/metrics``
demands of a caller what ``/run`` demands without ``--cloudevents``. A unix socket is for the user
of the server alone, so there nothing is demanded.
"""

from __future__ import annotations

import _socket
import os
import stat

from hotwhisk.access.check import AccessCheck
from hotwhisk.config.option import Address
from hotwhisk.errors import HeadTooLarge, MethodNotAllowed, NotFound, RequestError, StartError
from hotwhisk.http1.http1 import REASONS, Reader
from hotwhisk.openwhisk.answers import Cause
from hotwhisk.server import openmetrics, server_metrics
from hotwhisk.server.questions import BACKLOG, LONGEST, Question, Questions, listen_at_path
from hotwhisk.server.request_metrics import RequestMetrics
from hotwhisk.server.status import counts
from hotwhisk.supervisor.log_events import LogEvent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.config.config import Config
    from hotwhisk.http1.http1 import Head
    from hotwhisk.supervisor.parts import Parts
    from hotwhisk.supervisor.rollout import Rollout

PATHS = ("/healthz", "/readyz", "/metrics")
METHODS = ("GET", "HEAD")
TEXT = "text/plain; charset=utf-8"
Page = tuple[int, str, bytes]
"""A status, a content type and a body."""

FAILURE = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
"""The answer if there is a bug. It has no body, so it is right for ``HEAD`` too."""


class Admin:
    """The listening socket at ``address``, and the answers."""

    def __init__(self, address: Address, config: Config, parts: Parts) -> None:
        listener = _listen(address)
        port = address.port if address.path else listener.getsockname()[1]
        self.address = Address(address.host, port, address.path)
        self.questions = Questions(listener, self._answer, FAILURE, parts)
        self._parts = parts
        self._requests = RequestMetrics()
        self._access = None if address.path else AccessCheck(config, takes_events=False)
        place = self.address if address.path else f"http://{self.address}"
        parts.log(f"{', '.join(PATHS)} are answered on {place}", LogEvent.ADMIN)

    def close(self) -> None:
        """Stop listening, and remove the socket."""
        self.questions.close()

    def _answer(self, question: Question) -> bool:
        reader, headers, has_body = Reader(), b"", True
        try:
            reader.examine(question.received, len(question.received))
            if reader.head is None and not question.is_too_long:
                return False
            if reader.head is None:
                raise HeadTooLarge(f"the head exceeds {LONGEST} bytes; send fewer headers")
            has_body = reader.head.method != "HEAD"
            status, content_type, body = self._page(reader.head)
        except RequestError as error:
            status, content_type, body = error.status, TEXT, f"{error}\n".encode()
            headers = (
                b"Allow: GET, HEAD\r\n" if status == MethodNotAllowed.status else error.headers
            )
        head = (
            (
                f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: {content_type}\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n"
            ).encode()
            + headers
            + b"\r\n"
        )
        question.answer(head + body if has_body else head)
        return True

    def _page(self, head: Head) -> Page:
        """
        Return the answer to a request.

        Raises:
            RequestError: there is no such path or method, or the caller may not have it.
        """
        if head.path not in PATHS:
            raise NotFound(f"no such path: {head.path[:80]}; there are {', '.join(PATHS)}")
        if head.method not in METHODS:
            raise MethodNotAllowed(f"{head.path} is for GET and HEAD, not for {head.method}")
        if head.path == "/healthz":
            return 200, TEXT, b"the server lives\n"
        if head.path == "/readyz":
            why_not = why_not_ready(self._parts.rollout)
            return (503, TEXT, f"{why_not}\n".encode()) if why_not else (200, TEXT, b"ready\n")
        if self._access is not None:
            # Those that are known: a stranger's question must not make the server read a file.
            self._access.set_tokens(self._parts.processes.config.tokens)
            self._access.check_caller(head)
        families = [
            *server_metrics.collect(self._parts),
            *self._requests.collect(counts(self._parts)),
        ]
        return 200, openmetrics.CONTENT_TYPE, openmetrics.render(families)


def why_not_ready(rollout: Rollout) -> str:
    """Return in one line why requests are not answered by an action; empty if they are."""
    current = rollout.current
    if rollout.stopping:
        return "the server is stopping"
    if current.unstable:
        return f"generation {current.number} crashes in a loop; hotwhisk status says how"
    if current.number:
        return ""
    if rollout.candidate is not None:
        return "the first version is still loading"
    if rollout.dispatcher.run_error == Cause.LOAD_FAILED:
        return "no version is current: the last one did not load; hotwhisk status says why"
    return "no version is current: none was posted yet"


def _listen(address: Address) -> _socket.socket:
    """
    Return a socket that listens at an address.

    Raises:
        StartError: the address cannot be used.
    """
    try:
        if not address.path:
            return _listen_at_port(address)
        if _is_left_over(address.path):
            os.unlink(address.path)
        return listen_at_path(address.path)
    except OSError as error:
        raise StartError(
            f"cannot listen on --admin {address}: {error.strerror or error}; "
            "give another address, or port 0 for any free one"
        ) from error


def _listen_at_port(address: Address) -> _socket.socket:
    family = _socket.AF_INET6 if ":" in address.host else _socket.AF_INET
    listener = _socket.socket(family, _socket.SOCK_STREAM)
    try:
        listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _is_left_over(path: str) -> bool:
    """Return whether a path is a socket at which no process listens."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return False
        probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        finally:
            probe.close()
    except OSError:
        pass
    return False
