"""
Make one call of a runtime as the platform's client does: a new connection, one POST, one answer.

This client is as strict as the platform's: an answer without a length, a status of 204 and a
connection that ends early all count as no answer. A more tolerant client would hide from a test
what the platform refuses.
"""

from __future__ import annotations

import http.client
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

RETRY_PAUSE: Final = 0.05
_CHUNK: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer, cut at the platform's limit; ``length`` is the announced length."""

    status: int
    body: bytes
    length: int

    @property
    def complete(self) -> bool:
        """Whether the whole answer was read."""
        return len(self.body) == self.length

    @property
    def text(self) -> str:
        """Return the body as the platform reads it."""
        return self.body.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Says why there is no valid answer; ``refused`` means that the connection was refused."""

    reason: str
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a call, and when it began and ended, in seconds since the epoch."""

    answer: HttpAnswer | NoAnswer
    begin: float
    seconds: float

    @property
    def end(self) -> float:
        """When the call was over."""
        return self.begin + self.seconds


def call(
    url: str, path: str, body: bytes, *, limits: tuple[float, int], retry: bool, token: str = ""
) -> Outcome:
    """
    POST until there is an outcome.

    ``limits`` are seconds and bytes. With ``retry``, a refused connection is tried again each 50
    ms; that time counts too. A ``token`` is sent as ``Authorization: Bearer``.
    """
    seconds, most = limits
    begin, start = time.time(), time.monotonic()
    deadline = start + seconds
    while True:
        answer = _post(url + path, token, body, deadline, most)
        again = retry and isinstance(answer, NoAnswer) and answer.refused
        if not again or time.monotonic() >= deadline:
            return Outcome(answer, begin, time.monotonic() - start)
        time.sleep(RETRY_PAUSE)  # the platform's own pause between two attempts


def _post(url: str, token: str, body: bytes, deadline: float, most: int) -> HttpAnswer | NoAnswer:
    parts = urlsplit(url)
    left = max(0.001, deadline - time.monotonic())
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=left)
    try:
        try:
            connection.connect()
        except TimeoutError:
            return NoAnswer("no connection in time")
        except OSError as error:
            return NoAnswer(f"no connection: {error.strerror or error}", refused=True)
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        connection.request("POST", parts.path.replace("//", "/"), body, headers)
        return _read(connection, connection.getresponse(), deadline, most)
    except TimeoutError:
        return NoAnswer("no answer in time")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return NoAnswer(f"no answer: {type(error).__name__}: {error}")
    finally:
        connection.close()


def _read(
    connection: http.client.HTTPConnection,
    response: http.client.HTTPResponse,
    deadline: float,
    most: int,
) -> HttpAnswer | NoAnswer:
    if response.status == 204:
        return NoAnswer("status 204 has no entity")
    if response.getheader("Content-Encoding", "identity") != "identity":
        return NoAnswer("a compressed answer has no known length")
    length = response.length
    if length is None or response.chunked:
        return NoAnswer("an answer without Content-Length")
    pieces, wanted = [], min(length, most)
    while wanted:
        if connection.sock is not None:
            connection.sock.settimeout(max(0.001, deadline - time.monotonic()))
        piece = response.read1(min(wanted, _CHUNK))
        if not piece:
            return NoAnswer("the connection ended within the answer")
        pieces.append(piece)
        wanted -= len(piece)
    return HttpAnswer(response.status, b"".join(pieces), length)
