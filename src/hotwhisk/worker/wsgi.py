"""
Call a WSGI application in the place of a handler: each request but ``/init`` goes to it.

The response is sent when it is whole.

Source: PEP 3333.
"""

from __future__ import annotations

import io
import sys

from hotwhisk.cloudevents.header_values import decode_percent
from hotwhisk.http1.http1 import HttpResponse
from hotwhisk.worker.response_run import ResponseRequest, ResponseRun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Final

    from hotwhisk.http1.http1 import Head, Request

    Application = Callable[[dict[str, object], Callable[..., object]], Iterable[bytes]]

WITHOUT_BODY: Final = (204, 304)
"""Statuses whose responses have no body, and no length of one."""

_OURS: Final = ("connection", "keep-alive", "transfer-encoding")
_COOKIES: Final = "cookie"


class WsgiFunction:
    """A handler that calls an application with the environ of a request."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: dict[str, object]) -> HttpResponse:
        """Return the response of the application."""
        started: list[tuple[str, list[tuple[str, str]]]] = []
        written: list[bytes] = []

        def start(status: str, headers: list[tuple[str, str]], _: object = None) -> object:
            started[:] = [(status, headers)]
            return written.append

        parts = self._application(environ, start)
        try:
            body = b"".join([*parts] if not written else [*written, *parts])
        finally:
            close: Callable[[], object] | None = getattr(parts, "close", None)
            if close is not None:
                close()
        status, headers = started[-1]
        return _response(int(status[:3]), headers, body)


class WsgiRun(ResponseRun):
    """A run of an application, which returns the response itself."""

    __slots__ = ()

    def make_response(self, result: object) -> HttpResponse:
        """See `ResponseRun`."""
        assert isinstance(result, HttpResponse)
        return result


class WsgiRequest(ResponseRequest):
    """A request to an application; ``client`` is the address that sent it."""

    __slots__ = ("client",)

    def __init__(self, request: Request, client: str) -> None:
        super().__init__(request)
        self.client = client

    def make_run(self, body: bytes | memoryview) -> WsgiRun:
        """See `ResponseRequest`."""
        return WsgiRun(make_environ(self.head, body, self.client))


def make_environ(head: Head, body: bytes | memoryview, client: str) -> dict[str, object]:
    """Return what an application gets of a request."""
    host, _, port = (head.header("host") or "localhost").rpartition(":")
    if not port.isdigit():
        host, port = head.header("host") or "localhost", "80"
    environ: dict[str, Any] = {
        "REQUEST_METHOD": head.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": decode_percent(head.path.encode("ascii")).decode("latin-1"),
        "QUERY_STRING": head.query,
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/1.{head.minor}",
        "REMOTE_ADDR": client,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in head.headers:
        if name == "content-type":
            environ["CONTENT_TYPE"] = value
        # With "_" in its name a header would pass for another one.
        elif "_" not in name and name not in ("content-length", "transfer-encoding"):
            key = f"HTTP_{name.upper().replace('-', '_')}"
            between = "; " if name == _COOKIES else ", "
            environ[key] = f"{environ[key]}{between}{value}" if key in environ else value
    return environ


def _response(status: int, headers: list[tuple[str, str]], body: bytes) -> HttpResponse:
    """Return a response; the connection and the length of the body are the server's own matter."""
    lines = b""
    for name, value in headers:
        line = f"{name}: {value}"
        if "\r" in line or "\n" in line:
            raise ValueError("a header of the response holds a line break; remove it")
        if name.lower() not in (*_OURS, "content-length"):
            lines += f"{line}\r\n".encode("latin-1")
    if status in WITHOUT_BODY:
        return HttpResponse(status, lines, b"")
    lengths = [value for name, value in headers if name.lower() == "content-length"]
    length = int(lengths[0]) if lengths and not body else len(body)  # a HEAD has no body
    return HttpResponse(status, lines + b"Content-Length: %d\r\n" % length, body)
