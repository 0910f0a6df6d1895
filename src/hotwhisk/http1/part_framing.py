"""
Write a response in parts, whose length is not known when it begins.

An HTTP/1.1 client gets each part as a chunk (RFC 9112 §7.1), and the last chunk says that the
response is whole. An HTTP/1.0 client does not know chunks: its response ends with the connection,
so it cannot tell a whole response from one that was cut.
"""

from __future__ import annotations

LAST_CHUNK = b"0\r\n\r\n"


def parts_head(media_type: str, headers: bytes, *, keep_alive: bool, chunked: bool) -> bytes:
    """
    Return the status line and headers of a successful response in parts.

    ``headers`` are more lines, each with its CRLF. X-Accel-Buffering tells nginx to pass each part
    on at once.
    """
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nX-Accel-Buffering: no\r\n".encode()
    if chunked:
        head += b"Transfer-Encoding: chunked\r\n"
    if not keep_alive:
        head += b"Connection: close\r\n"
    return head + headers + b"\r\n"


def chunk(data: bytes) -> list[bytes]:
    """Return what is sent for some bytes; nothing for none, because an empty chunk is the last."""
    return [b"%x\r\n" % len(data), data, b"\r\n"] if data else []
