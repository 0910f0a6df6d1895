"""
The chunked transfer coding, RFC 9112 §7.1, decoded as it arrives.

The decoder keeps offsets, never the buffer. A chunk is copied once, when all of it has arrived, so
a large body in small pieces costs one pass. A sender can make us keep only so much beside the body:
the line of a chunk, all framing together, and the trailers each have a limit.
"""

from __future__ import annotations

import re

from hotwhisk.errors import BodyTooLarge, HeadTooLarge, RequestError
from hotwhisk.http1.head import parse_field, quote, refuse_illegal
from hotwhisk.sizes import show_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mmap import mmap
    from typing import TypeAlias

    Buffer: TypeAlias = bytes | bytearray | mmap | memoryview

MAX_CHUNK_LINE = 256
"""
Most bytes of a chunk's size, extensions and CRLF.

16 digits hold any size, and extensions are rare.
"""

MAX_FRAMING = 4 * 1024 * 1024
"""
Most bytes of all that is not body.

With it chunks of 100 bytes still fill the largest body, and chunks of one byte cost about a second
of work at worst.
"""

MAX_TRAILER = 8192
"""Most bytes of the trailer section, which is read, checked and dropped."""

LAST_CHUNK = len(b"0\r\n\r\n")

# No spaces and no empty extensions, as in llhttp: RFC 9112 §7.1.1 calls them bad whitespace.
_TCHARS = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = r'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
_LINE = re.compile(
    rf"([0-9A-Fa-f]{{1,16}})(?:;{_TCHARS}(?:=(?:{_TCHARS}|{_QUOTED}))?)*".encode("latin-1")
)
BARE_LF = re.compile(rb"(?<=[^\r])\n")
_FRAMING_FIELDS = frozenset({"content-length", "transfer-encoding", "host"})


class Chunks:
    """
    The chunked body that starts at offset ``start``.

    ``body`` is what was decoded so far. ``at`` is the offset up to which the buffer was read; once
    ``examine`` has returned True it is the end of the body.
    """

    __slots__ = ("_chunk_end", "_framing", "_max_body", "_trailer", "at", "body")

    def __init__(self, start: int, max_body: int) -> None:
        self.body = bytearray()
        self.at = start
        self._max_body = max_body
        self._chunk_end = 0  # where the data of the current chunk ends; 0: a line is next
        self._framing = 0
        self._trailer = False

    @property
    def bytes_needed(self) -> int:
        """Return the least number of bytes that the whole request has."""
        if self._chunk_end:
            return self._chunk_end + len(b"\r\n") + LAST_CHUNK
        return self.at + (len(b"\r\n") if self._trailer else LAST_CHUNK)

    def examine(self, buffer: Buffer, length: int) -> bool:
        """
        Decode the first ``length`` bytes of ``buffer``; return True when the body is complete.

        Do not call it again after that.
        """
        with memoryview(buffer) as view:  # released even if this raises: a held view pins
            while not self._trailer:
                if not (self._take_data if self._chunk_end else self._take_line)(view, length):
                    return False
            return self._take_trailer(view, length)

    def _take_line(self, view: memoryview, length: int) -> bool:
        window = bytes(view[self.at : min(length, self.at + MAX_CHUNK_LINE)])
        end = window.find(b"\r\n")
        if end < 0:
            if len(window) == MAX_CHUNK_LINE or b"\n" in window:
                raise RequestError(
                    f"not a chunk size: {quote(window)}; expected hexadecimal digits and CRLF"
                    f" within {MAX_CHUNK_LINE} bytes"
                )
            return False
        line = _LINE.fullmatch(window, 0, end)
        if line is None:
            raise RequestError(
                f"not a chunk size: {quote(window[:end])}; expected hexadecimal digits and CRLF"
            )
        size = int(line[1], 16)
        if len(self.body) + size > self._max_body:
            raise BodyTooLarge(
                f"the body exceeds {show_size(self._max_body)}, the limit; send less"
            )
        self._framing += end + 4
        if self._framing > MAX_FRAMING:
            raise BodyTooLarge(
                f"more than {MAX_FRAMING} bytes of chunk framing; send fewer, larger chunks"
            )
        self.at += end + 2
        if size:
            self._chunk_end = self.at + size
        else:
            self._trailer = True
        return True

    def _take_data(self, view: memoryview, length: int) -> bool:
        end = self._chunk_end
        after = bytes(view[end : min(length, end + 2)])
        if not b"\r\n".startswith(after):
            raise RequestError(
                f"expected CRLF after the chunk, got {quote(after)}; the chunk's size is wrong"
            )
        if len(after) < 2:
            return False
        self.body += view[self.at : end]
        self.at = end + 2
        self._chunk_end = 0
        return True

    def _take_trailer(self, view: memoryview, length: int) -> bool:
        """
        Read the trailer section (RFC 9112 §7.1.2); return True when it is complete.

        A trailer that would change the framing is refused (RFC 9110 §6.5.1).
        """
        window = bytes(view[self.at : min(length, self.at + MAX_TRAILER)])
        if window.startswith(b"\r\n"):
            self.at += 2
            return True
        end = window.find(b"\r\n\r\n")
        if end < 0:
            if window.startswith(b"\n") or BARE_LF.search(window):
                raise RequestError("a trailer line ends with LF alone; lines end with CRLF")
            if len(window) == MAX_TRAILER:
                raise HeadTooLarge(f"trailers exceed {MAX_TRAILER} bytes; send fewer")
            return False
        trailers = window[:end]
        refuse_illegal(trailers)
        for line in trailers.split(b"\r\n"):
            name, _ = parse_field(line)
            if name in _FRAMING_FIELDS:
                raise RequestError(f"{name} is not allowed as a trailer; send it as a header")
        self.at += end + 4
        return True
