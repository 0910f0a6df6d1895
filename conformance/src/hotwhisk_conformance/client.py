"""
The client: strict where the platform's is strict.

The platform ignores an answer without a length, one with status 204, and a compressed one. So does
this client: it raises `NoAnswer`, which fails the case.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

LIMIT: Final = 1 << 20
"""Most bytes of an answer that the platform takes."""
_RETRY_SECONDS: Final = 0.02


class NoAnswer(Exception):
    """The runtime did not answer in a way that the platform accepts."""


class TooLate(NoAnswer):
    """No answer came in time."""


class NoListener(TooLate):
    """No connection was made."""


@dataclass(frozen=True)
class Answer:
    """A status and a body."""

    status: int
    body: bytes

    @property
    def document(self) -> Any:
        """The body as JSON; ``...`` if it is not JSON, which is equal to no JSON value."""
        try:
            return json.loads(self.body, parse_constant=_refuse)
        except (ValueError, RecursionError):
            return ...

    @property
    def error(self) -> str:
        """The text under ``error``; empty if there is none."""
        document = self.document
        error = document.get("error") if isinstance(document, dict) else None
        return error if isinstance(error, str) else ""

    def __repr__(self) -> str:
        shown = self.body if len(self.body) < 300 else self.body[:300] + b"..."
        return f"<{self.status} {shown.decode('utf-8', 'backslashreplace')}>"


def _listens_soon() -> bool:
    return True


def post(
    url: str,
    path: str,
    document: object,
    timeout: float,
    hope: Callable[[], bool] = _listens_soon,
) -> Answer:
    """
    POST once on a new connection; retry the connection until it is made or there is no
    ``hope``.
    """
    parts = urlsplit(url)
    body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    deadline = time.monotonic() + timeout
    connection = _connect(parts.hostname or "", parts.port or 80, deadline, hope)
    try:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        connection.request("POST", parts.path.rstrip("/") + path, body, headers)
        response = connection.getresponse()
        length = _length(response)
        content = response.read(min(length, LIMIT + 1))
    except TimeoutError:
        raise TooLate(f"{path}: no answer within {timeout:g} s") from None
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(f"{path}: {type(error).__name__}: {error}") from None
    finally:
        connection.close()
    if len(content) < min(length, LIMIT + 1):
        raise NoAnswer(f"{path}: the connection ended {length - len(content)} bytes too early")
    if length > LIMIT:
        raise NoAnswer(f"{path}: the answer is longer than {LIMIT} bytes")
    return Answer(response.status, content)


def _connect(
    host: str, port: int, deadline: float, hope: Callable[[], bool]
) -> http.client.HTTPConnection:
    while True:
        left = max(0.01, deadline - time.monotonic())
        connection = http.client.HTTPConnection(host, port, timeout=left)
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            if time.monotonic() + _RETRY_SECONDS >= deadline or not hope():
                raise NoListener(f"{host}:{port}: no server listens ({error})") from None
            time.sleep(_RETRY_SECONDS)  # a foreign server does not report that it listens
        else:
            connection.sock.settimeout(max(0.01, deadline - time.monotonic()))
            return connection


def _length(response: http.client.HTTPResponse) -> int:
    if response.status == 204:
        raise NoAnswer("status 204 is no answer to the platform")
    if response.getheader("Content-Encoding", "identity") != "identity":
        raise NoAnswer("a compressed answer has no known length, so it is none to the platform")
    if response.length is None:
        raise NoAnswer("an answer without Content-Length is none to the platform")
    return response.length


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")
