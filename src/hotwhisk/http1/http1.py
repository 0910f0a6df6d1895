"""
Turn bytes into HTTP/1.1 requests by a strict reader, and write response heads. No I/O.

The caller keeps the bytes. A ``Reader`` gets one growing buffer and keeps offsets into it. So
the bytes may be in a memory file that moves to another process, where a new ``Reader`` starts again
at byte 0.

Strict rules cost no time on the usual path. A caller repeats its head byte for byte, so the parsed
head is found in a cache by its bytes (`head`). A small request that arrives complete takes one
search, one look-up and one slice. The chunked coding is in `chunked`.
"""

from __future__ import annotations

from functools import cache

from hotwhisk.errors import BodyTooLarge, HeadTooLarge, RequestError
from hotwhisk.http1.chunked import BARE_LF, Chunks
from hotwhisk.http1.head import MAX_METHOD, Head, check_start, parse_head
from hotwhisk.record import Record
from hotwhisk.sizes import show_excess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.http1.chunked import Buffer

__all__ = [
    "CONTINUE",
    "MAX_BLANK_LINES",
    "MAX_BODY",
    "MAX_HEAD",
    "REASONS",
    "Head",
    "HttpResponse",
    "Reader",
    "Request",
    "bare_head",
    "parse_complete",
    "response_head",
]

MAX_HEAD = 65536
"""
Most bytes of request line and headers with the empty line.

It is eight times what common servers take, so long cookies and tokens of a proxy pass. It is little
enough to keep for every connection.
"""

MAX_BODY = 56 * 1024 * 1024
"""Most bytes of a body: above the platform's 48 MB of code in the JSON that wraps it."""

MAX_BLANK_LINES = 2
"""
Most empty lines before a request line that are skipped (RFC 9112 §2.2).

Some clients send one after a body. The second is allowed for clients that do so twice.
"""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""The interim response to a client that waits before it sends its body (RFC 9110 §15.2.1)."""

_END_OF_HEAD = b"\r\n\r\n"
_CR, _LF = b"\r\n"
_FIRST_PRINTABLE = 0x21

REASONS = {
    200: "OK",
    204: "No Content",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Server Unavailable",
    505: "HTTP Version Not Supported",
}


class Request:
    """
    A complete request.

    ``body`` is decoded: bytes if the buffer was bytes, else a memoryview. A memoryview pins the
    buffer (a bytearray cannot be resized, an mmap not closed) until it is released. ``end`` is the
    offset in the buffer of the first byte after the request.
    """

    __slots__ = ("body", "end", "head")

    def __init__(self, head: Head, body: bytes | memoryview, end: int) -> None:
        self.head = head
        self.body = body
        self.end = end


class HttpResponse(Record):
    """A response: the status, the header lines about the body, each with its CRLF, the body."""

    status: int
    headers: bytes
    body: bytes


class Reader:
    """
    Finds the one request at the start of a growing buffer.

    ``head`` is set as soon as it is complete. ``bytes_needed`` is the least number of bytes that
    the request has, 0 while unknown. It is exact with a Content-Length; without one it grows with
    each chunk.
    """

    __slots__ = ("_body_at", "_chunks", "_max_body", "_scanned", "_start", "bytes_needed", "head")

    def __init__(self, max_body: int = MAX_BODY) -> None:
        self.head: Head | None = None
        self.bytes_needed = 0
        self._max_body = max_body
        self._start = 0  # of the request line, after blank lines
        self._scanned = 0  # the end of the head is not before this offset
        self._body_at = 0
        self._chunks: Chunks | None = None

    def examine(self, buffer: Buffer, length: int) -> Request | None:
        """
        Return the request in the first ``length`` bytes of ``buffer``, or None if it is not
        complete.

        Each call shows the same bytes and more. After a request or an error, do not use the reader
        again.

        Raises:
            RequestError: the bytes are not a valid request.
        """
        head = self.head
        if head is None:
            head = self._read_head(buffer, length)
            if head is None:
                return None
        if self._chunks is not None:
            return self._read_chunks(head, self._chunks, buffer, length)
        end = self.bytes_needed
        if length < end:
            return None
        if type(buffer) is bytes:
            return Request(head, buffer[self._body_at : end], end)
        if end == self._body_at:
            return Request(head, b"", end)
        return Request(head, memoryview(buffer)[self._body_at : end], end)

    def _read_head(self, buffer: Buffer, length: int) -> Head | None:
        if length <= self._start:
            return None
        if buffer[self._start] < _FIRST_PRINTABLE and not self._skip_blank_lines(buffer, length):
            return None
        limit = min(length, MAX_HEAD)
        if isinstance(buffer, memoryview):
            at = bytes(buffer[self._scanned : limit]).find(_END_OF_HEAD)
            at = at if at < 0 else at + self._scanned
        else:
            at = buffer.find(_END_OF_HEAD, self._scanned, limit)
        if at < 0:
            self._refuse_early(buffer, limit)
            return None
        head = parse_head(bytes(buffer[self._start : at]))
        body_at = at + 4
        if head.chunked:
            self._chunks = Chunks(body_at, self._max_body)
            self.bytes_needed = self._chunks.bytes_needed
        else:
            size = head.content_length or 0
            if size > self._max_body:
                has, most = show_excess(size, self._max_body)
                raise BodyTooLarge(f"a body of {has} exceeds the limit of {most}; send less")
            self.bytes_needed = body_at + size
        self._body_at = body_at
        self.head = head
        return head

    def _skip_blank_lines(self, buffer: Buffer, length: int) -> bool:
        """Skip empty lines (RFC 9112 §2.2); return False while another one may follow."""
        while buffer[self._start] in (_CR, _LF):
            if self._start == 2 * MAX_BLANK_LINES:
                raise RequestError(
                    f"more than {MAX_BLANK_LINES} empty lines before the request line; remove them"
                )
            if buffer[self._start] == _LF:
                raise RequestError("a line before the request ends with LF alone; send CRLF")
            if length < self._start + 2:
                return False
            if buffer[self._start + 1] != _LF:
                raise RequestError("a CR without LF before the request; lines end with CRLF")
            self._start = self._scanned = self._start + 2
            if length == self._start:
                return False
        return True

    def _refuse_early(self, buffer: Buffer, limit: int) -> None:
        """
        Refuse an incomplete head that cannot become a valid one.

        That is: it is not HTTP, it is too large, or its lines end with LF alone, so that no empty
        line would ever be found.
        """
        check_start(bytes(buffer[self._start : min(limit, self._start + MAX_METHOD + 1)]))
        if BARE_LF.search(bytes(buffer[self._scanned : limit])):
            raise RequestError("a line of the head ends with LF alone; lines end with CRLF")
        if limit == MAX_HEAD:
            raise HeadTooLarge(
                f"request line and headers exceed {MAX_HEAD} bytes; send fewer or shorter headers"
            )
        self._scanned = max(self._start, limit - 3)

    def _read_chunks(
        self, head: Head, chunks: Chunks, buffer: Buffer, length: int
    ) -> Request | None:
        complete = chunks.examine(buffer, length)
        self.bytes_needed = chunks.at if complete else chunks.bytes_needed
        if not complete:
            return None
        body = bytes(chunks.body) if type(buffer) is bytes else memoryview(chunks.body)
        return Request(head, body, chunks.at)


def parse_complete(data: bytes) -> Request | None:
    """
    Parse a request that arrived complete and unchunked; return None for any other input.

    This is the fast path for nearly every request: one search, one look-up, one slice. After None,
    use `Reader`; the request may still be valid.
    """
    at = data.find(_END_OF_HEAD, 0, MAX_HEAD)
    if at < 0 or data[0] < _FIRST_PRINTABLE:
        return None
    head = parse_head(data[:at])
    if head.chunked:
        return None
    body_at = at + 4
    end = body_at + (head.content_length or 0)
    return Request(head, data[body_at:end], end) if end <= len(data) else None


def response_head(
    status: int, length: int, headers: bytes = b"", *, keep_alive: bool = True, minor: int = 1
) -> bytes:
    """
    Return the status line and headers of a JSON response of ``length`` bytes.

    ``headers`` are more lines, each with its CRLF. Pass the request's ``minor``: an HTTP/1.0 client
    is told if the connection stays open, an HTTP/1.1 client if it does not (RFC 9112 §9.3).
    """
    if not keep_alive:
        headers += b"Connection: close\r\n"
    elif not minor:
        headers += b"Connection: keep-alive\r\n"
    return b"%sContent-Length: %d\r\n%s\r\n" % (_start(status), length, headers)


def bare_head(status: int, headers: bytes, *, keep_alive: bool = True, minor: int = 1) -> bytes:
    """
    Return a status line with these header lines, which say what the body is and how long.

    Only ``Connection`` is added, as `response_head` does.
    """
    line = f"HTTP/1.1 {status} {REASONS.get(status, '')}\r\n".encode()
    connection = b"" if minor else b"Connection: keep-alive\r\n"
    return b"%s%s%s\r\n" % (line, headers, connection if keep_alive else b"Connection: close\r\n")


@cache
def _start(status: int) -> bytes:
    """
    Return the status line and the header that every JSON response has.

    The cache has a few dozen entries.
    """
    line = f"HTTP/1.1 {status} {REASONS.get(status, '')}\r\n"
    return f"{line}Content-Type: application/json\r\n".encode()
