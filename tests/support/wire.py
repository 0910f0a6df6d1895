"""
Turn requests into bytes, and bytes into answers; no I/O.

The reader is strict on purpose: what it does not expect is ``Malformed``, never skipped. So a
second answer, a crossed answer or a stray byte is always seen.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import Any

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [^\r\n]*)?")
_GENERATION = re.compile(r"(\d+)(?:\s+\S+)?")


class ClientError(Exception):
    """A request did not get an answer; the subclass says why."""


class Malformed(ClientError):
    """The server sent something other than one complete HTTP answer."""


@dataclass(frozen=True, slots=True)
class Response:
    """A final answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON, or raise ``Malformed``."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Malformed(f"not JSON: {self.body[:80]!r}") from error

    def value(self, key: str) -> Any:
        """Return one member of the answer, or raise ``Malformed`` if there is none of this name."""
        answer = self.json()
        if not isinstance(answer, dict) or key not in answer:
            raise Malformed(f'no "{key}" in {self.status} {self.body[:160]!r}')
        return answer[key]

    @property
    def error(self) -> str | None:
        """The text of an answer that is an object with the only key ``error``, else None."""
        answer = self.json()
        if isinstance(answer, dict) and list(answer) == ["error"]:
            return str(answer["error"])
        return None

    @property
    def generation(self) -> int | None:
        """The number in ``Hotwhisk-Generation``, or None if the header is missing."""
        found = _GENERATION.fullmatch(self.headers.get("hotwhisk-generation", ""))
        return int(found[1]) if found else None

    @property
    def closes(self) -> bool:
        """Whether the server announced that it closes after this answer."""
        return self.headers.get("connection", "").lower() == "close"


class ResponseReader:
    """Takes bytes and returns answers; interim (1xx) answers are counted in ``interim``."""

    def __init__(self) -> None:
        self.interim: list[int] = []
        self._buffer = bytearray()
        self._head: tuple[int, dict[str, str], int] | None = None

    @property
    def pending(self) -> int:
        """The received bytes that are not part of an answer yet."""
        return len(self._buffer) + (self._head is not None)

    def feed(self, data: bytes) -> None:
        """Add the bytes that a socket gave."""
        self._buffer += data

    def next(self) -> Response | None:
        """Return the next complete answer, or None while bytes are missing."""
        while self._head is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > 65536 or not b"HTTP/".startswith(self._buffer[:5]):
                    raise Malformed(f"no answer: {bytes(self._buffer[:80])!r}")
                return None
            status, headers = _parse_head(bytes(self._buffer[:end]))
            if status < 200:
                self.interim.append(status)
                del self._buffer[: end + 4]
                continue
            self._head = (status, headers, end + 4)
        status, headers, start = self._head
        taken = _take_body(self._buffer, headers, start)
        if taken is None:
            return None
        body, stop = taken
        del self._buffer[:stop]
        self._head = None
        return Response(status, headers, body)


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.split(b"\r\n")
    found = _STATUS_LINE.fullmatch(first)
    if not found:
        raise Malformed(f"status line {first[:80]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or (name.lower() == "content-length" and "content-length" in headers):
            raise Malformed(f"header {line[:80]!r}")
        headers[name.lower()] = value.strip()
    return int(found[1]), headers


def _take_body(buffer: bytearray, headers: dict[str, str], start: int) -> tuple[bytes, int] | None:
    length = headers.get("content-length")
    if length is not None:
        if not length.isascii() or not length.isdigit():
            raise Malformed(f"Content-Length {length!r}")
        stop = start + int(length)
        return (bytes(buffer[start:stop]), stop) if len(buffer) >= stop else None
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return _take_chunks(buffer, start)
    raise Malformed("an answer without Content-Length")


def _take_chunks(buffer: bytearray, at: int) -> tuple[bytes, int] | None:
    # Our server sends chunks for an answer in parts; a foreign server may for any.
    body = bytearray()
    while (end := buffer.find(b"\r\n", at)) >= 0:
        size = int(bytes(buffer[at:end]).split(b";")[0], 16)
        stop = end + 2 + size + 2
        if len(buffer) < stop:
            return None
        body += buffer[end + 2 : stop - 2]
        at = stop
        if size == 0:
            return bytes(body), at
    return None


def post(path: str, body: bytes, *headers: str) -> bytes:
    """Return one POST request as bytes; each of ``headers`` is a line without its end."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def run_body(value: object, **keys: object) -> bytes:
    """
    Return the body of a /run: the event under ``value``, further keys such as ``deadline`` beside
    it.
    """
    return json.dumps({"value": value, **keys}).encode()


def run_request(value: object, *headers: str, path: str = "/run", **keys: object) -> bytes:
    """Return one POST /run as bytes."""
    return post(path, run_body(value, **keys), *headers)


def init_body(
    code: str | bytes,
    main: str = "main",
    binary: bool = False,
    env: dict[str, object] | None = None,
) -> bytes:
    """Return the body of an /init; bytes are sent as base64 and need ``binary``."""
    text = base64.b64encode(code).decode() if isinstance(code, bytes) else code
    value: dict[str, object] = {"name": "proof", "main": main, "binary": binary, "code": text}
    if env is not None:
        value["env"] = env
    return json.dumps({"value": value}).encode()


def init_request(code: str | bytes, *headers: str, main: str = "main") -> bytes:
    """Return one POST /init of a source (text) or of an archive (bytes)."""
    return post("/init", init_body(code, main, isinstance(code, bytes)), *headers)
