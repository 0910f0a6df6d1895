"""
Read the head of an HTTP/1.1 request strictly: request line and headers.

``parse_head`` is given all bytes before the empty line. It refuses what two readers of one
connection could understand differently (request smuggling). So every rule is the narrow reading of
RFC 9112 and names its section. The order of the checks is part of the behaviour: first the bytes,
then the request line, then the headers. So a request is refused with the same error whether it came
in one piece or byte by byte.
"""

from __future__ import annotations

import re
from functools import lru_cache

from hotwhisk.errors import (
    BodyTooLarge,
    ExpectationFailed,
    NotImplementedCoding,
    RequestError,
    VersionNotSupported,
)
from hotwhisk.http1.trace_context import TRACEPARENT, TraceContext, read_trace_context
from hotwhisk.record import Record

MAX_METHOD = 32
"""Most bytes of a method; the longest registered one has 17 letters."""

MAX_LENGTH_DIGITS = 16
"""Most digits of a Content-Length: more than any disk holds, and quick to convert."""

MAX_SHOWN = 60
"""Most characters of the input that an error repeats: enough to find it, too few for a payload."""

CACHED_HEAD = 1024
"""
Most bytes of a head that is cached.

With ``CACHED_HEADS`` this limits the cache to about 1 MB.
"""

CACHED_HEADS = 256
"""Most heads in the cache: more than the callers of one worker that keep a connection."""

TLS_HANDSHAKE = 0x16

_TCHAR = r"[!#$%&'*+.^_`|~0-9A-Za-z-]"  # RFC 9110 §5.6.2
_START = re.compile(rf"{_TCHAR}{{1,{MAX_METHOD}}}(?: |\Z)".encode())
_ILLEGAL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n")
_TOKEN = re.compile(rf"{_TCHAR}+".encode())
_TARGET = re.compile(rb'[!"$-~]+')  # printable ASCII but "#": a fragment is never sent
_ABSOLUTE = re.compile(r"https?://([^/?]*)(/[^?]*)?(?:\?.*)?", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]+")
# RFC 3986 §3.2.2 without the comma: it is how an intermediary folds two Host fields into one.
_HOST = re.compile(
    r"(?:\[[0-9A-Fa-f:.]+\]|(?:[0-9A-Za-z._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]*)?"
)


class Head(Record):
    """
    The content of a request line and its headers.

    ``path`` is the target without its ``query``, both undecoded. Header names are lower-case,
    values latin-1 without outer spaces. ``minor`` is the x of HTTP/1.x. ``expects_continue`` is
    true only if a body follows. ``trace`` is None if the request belongs to no trace.
    """

    method: str
    path: str
    minor: int
    headers: tuple[tuple[str, str], ...]
    content_length: int | None
    chunked: bool
    keep_alive: bool
    expects_continue: bool
    trace: TraceContext | None = None
    query: str = ""

    def header(self, name: str) -> str | None:
        """
        Return the value of the header ``name`` (lower-case), or None.

        Repeated headers are joined by ", " (RFC 9110 §5.3), so a check sees all of their values.
        """
        values = [value for found, value in self.headers if found == name]
        return ", ".join(values) if values else None


def quote(data: bytes | str) -> str:
    """Return input for an error text: printable ASCII, quoted, cut short."""
    text = data if isinstance(data, str) else data[:MAX_SHOWN].decode("latin-1")
    quoted = ascii(text[:MAX_SHOWN])
    return quoted if len(quoted) <= MAX_SHOWN + 2 else quoted[:MAX_SHOWN] + "...'"


def check_start(data: bytes) -> None:
    """
    Refuse bytes that cannot begin a request line (RFC 9112 §3): a method and a space.

    This is checked from the first bytes on, because clients of other protocols never send an empty
    line.
    """
    if data[0] == TLS_HANDSHAKE:
        raise RequestError("this port speaks plain HTTP, not TLS; use http:// in place of https://")
    if not _START.match(data[: MAX_METHOD + 1]):
        raise RequestError(
            f"not an HTTP request: it begins with {quote(data[: MAX_METHOD + 1])};"
            " expected a method, a space and a path, such as POST /run HTTP/1.1"
        )


def parse_head(data: bytes) -> Head:
    """Return the head whose bytes, without the empty line that ends it, are ``data``."""
    return _parse_cached(data) if len(data) <= CACHED_HEAD else _parse(data)


def parse_field(line: bytes) -> tuple[str, str]:
    """
    Return one header line as (lower-case name, value), RFC 9112 §5.

    The caller has checked that the line holds no control characters.
    """
    name, colon, value = line.partition(b":")
    if _TOKEN.fullmatch(name) and colon:
        return name.decode("ascii").lower(), value.strip(b" \t").decode("latin-1")
    if line[:1] in (b" ", b"\t"):  # RFC 9112 §5.2
        raise RequestError(
            f"a header line begins with a blank: {quote(line)}; folded headers are obsolete,"
            " send each header on one line"
        )
    if colon and name.endswith((b" ", b"\t")):  # RFC 9112 §5.1
        raise RequestError(f"blank between header name and colon: {quote(line)}; remove it")
    raise RequestError(f"not a header line: {quote(line)}; expected 'Name: value'")


def refuse_illegal(data: bytes) -> None:
    """Refuse control characters, and a lone CR or LF (RFC 9112 §2.2, RFC 9110 §5.5)."""
    bad = _ILLEGAL.search(data)
    if bad:
        around = data[max(0, bad.start() - 20) : bad.start() + 20]
        raise RequestError(
            f"illegal character {bad.group().decode()!a} in the head near {quote(around)};"
            " lines end with CRLF and hold no control characters"
        )


def _parse(data: bytes) -> Head:
    check_start(data)
    refuse_illegal(data)
    line, *rest = data.split(b"\r\n")
    method, target, minor = _request_line(line)
    headers = tuple(map(parse_field, rest))
    fields: dict[str, list[str]] = {}
    for name, value in headers:
        fields.setdefault(name, []).append(value)
    _check_host(fields.get("host", []), minor)
    path, query, authority = _path(target)
    if authority is not None:  # RFC 9112 §3.2.2: ignore the Host that was sent
        headers = (*(field for field in headers if field[0] != "host"), ("host", authority))
    length, chunked = _framing(fields, minor)
    return Head(
        method=method,
        path=path,
        minor=minor,
        headers=headers,
        content_length=length,
        chunked=chunked,
        keep_alive=_keep_alive(fields.get("connection", []), minor),
        expects_continue=_expects(fields.get("expect", []), minor) and bool(chunked or length),
        trace=read_trace_context(fields) if TRACEPARENT in fields else None,
        query=query,
    )


_parse_cached = lru_cache(maxsize=CACHED_HEADS)(_parse)


def _request_line(line: bytes) -> tuple[str, str, int]:
    """Split a request line into its parts (RFC 9112 §3) and check the version (RFC 9112 §2.3)."""
    parts = line.split(b" ")
    if len(parts) != 3 or not _TARGET.fullmatch(parts[1]):
        raise RequestError(
            f"malformed request line {quote(line)}; expected METHOD /path HTTP/1.1 with single"
            " spaces, the path in printable ASCII without a fragment"
        )
    method, target, version = parts
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        if version.startswith(b"HTTP/"):
            raise VersionNotSupported(
                f"version {quote(version)} is not served here; use HTTP/1.1 or HTTP/1.0"
            )
        raise RequestError(f"{quote(version)} is not an HTTP version; expected HTTP/1.1")
    return method.decode("ascii"), target.decode("ascii"), version[-1] - ord("0")


def _check_host(values: list[str], minor: int) -> None:
    """Require exactly one valid Host in HTTP/1.1 and at most one in HTTP/1.0 (RFC 9112 §3.2)."""
    if len(values) > 1:
        raise RequestError(f"{len(values)} Host headers; expected one")
    if not values and minor:
        raise RequestError("no Host header; HTTP/1.1 requires one, such as Host: localhost")
    if values and not _HOST.fullmatch(values[0]):
        raise RequestError(f"invalid Host {quote(values[0])}; expected a host or host:port")


def _path(target: str) -> tuple[str, str, str | None]:
    """
    Return the path and the query of a target and, if it is in absolute-form, its authority.

    RFC 9112 §3.2.1 to §3.2.4 define the forms. The authority replaces the Host when the server
    decides whether the caller may post code.
    """
    path, _, query = target.partition("?")
    if target.startswith("/"):
        return path, query, None
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        return target, "", None
    authority = absolute[1]
    if not authority.partition(":")[0] or not _HOST.fullmatch(authority):  # RFC 9110 §4.2.1, §4.2.4
        raise RequestError(
            f"the target names the host {quote(authority)}; expected one such as "
            "http://localhost:8080/run"
        )
    return absolute[2] or "/", query, authority


def _framing(fields: dict[str, list[str]], minor: int) -> tuple[int | None, bool]:
    """
    Return the Content-Length, and whether the body is chunked (RFC 9112 §6).

    Anything ambiguous is an error (§11.2).
    """
    lengths = fields.get("content-length", [])
    codings = fields.get("transfer-encoding", [])
    if codings:
        if lengths:  # §6.1, the classic of smuggling
            raise RequestError("both Content-Length and Transfer-Encoding; send only one of them")
        if not minor:  # §6.1
            raise RequestError("Transfer-Encoding in HTTP/1.0; send a Content-Length, or HTTP/1.1")
        if len(codings) > 1 or codings[0].lower() != "chunked":
            raise NotImplementedCoding(
                f"Transfer-Encoding {quote(', '.join(codings))} is not understood;"
                " send 'chunked' once, or a Content-Length"
            )
        return None, True
    if not lengths:  # §6.3 rule 7: no body
        return None, False
    if len(lengths) > 1:  # §6.3 rule 5, without its allowance for equal values
        raise RequestError(f"{len(lengths)} Content-Length headers; expected one")
    if not _DIGITS.fullmatch(lengths[0]):
        raise RequestError(f"Content-Length {quote(lengths[0])}; expected one number in digits")
    if len(lengths[0]) > MAX_LENGTH_DIGITS:
        raise BodyTooLarge(
            f"Content-Length of {len(lengths[0])} digits; at most {MAX_LENGTH_DIGITS} are taken"
        )
    return int(lengths[0]), False


def _keep_alive(values: list[str], minor: int) -> bool:
    """Return whether the connection stays open (RFC 9112 §9.3): "close" wins; HTTP/1.0 must ask."""
    options = {option.strip(" \t").lower() for value in values for option in value.split(",")}
    return "close" not in options and (bool(minor) or "keep-alive" in options)


def _expects(values: list[str], minor: int) -> bool:
    """Return whether 100-continue is expected (RFC 9110 §10.1.1); HTTP/1.0 has no expectations."""
    if not values or not minor:
        return False
    for value in values:
        if value.lower() != "100-continue":
            raise ExpectationFailed(
                f"Expect: {quote(value)} cannot be met; only 100-continue is known"
            )
    return True
