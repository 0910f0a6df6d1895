"""
Properties of the reader, and h11 as its oracle: we are never laxer than h11.

Deliberate differences from h11, each stricter but the first:

- up to two empty lines before a request are skipped (h11: error); stripped here before h11 reads
- control characters in values, "#" in a target, an invalid Host, an absolute target without one
- the Host of an absolute target is the target's (RFC 9112 §3.2.2), which h11 leaves to others
- any line end but CRLF; folded headers; a repeated or listed Content-Length
- Transfer-Encoding together with Content-Length, or in HTTP/1.0
- versions other than 1.0 and 1.1; expectations other than 100-continue
- blanks after a chunk's size; malformed or long extensions; more framing than the limit
- trailers that name the framing
"""

from __future__ import annotations

import mmap
import re

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotwhisk.errors import RequestError
from hotwhisk.http1.http1 import Reader, Request

PROFILE = settings(max_examples=200, deadline=None, derandomize=True, database=None)

TE = "transfer-encoding"  # h11 returns its value in lower case

Outcome = tuple[object, ...]

TOKEN = st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1, max_size=8)
VALUE = st.text('\t !"#%,:;=@aZ09~\x80\xff', max_size=12)
BODY = st.binary(max_size=40)
CASE = st.sampled_from([str.lower, str.upper, str.title])
RESERVED = {"host", "content-length", "transfer-encoding", "expect", "connection"}


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Draw valid requests: every form of target, framing and version."""
    case = draw(CASE)
    minor = draw(st.sampled_from([1, 1, 1, 0]))
    target = draw(st.sampled_from(["/run", "/init?a=b", "*", "http://h:1/p/q?x", "https://H:1"]))
    lines = [f"{draw(TOKEN)} {target} HTTP/1.{minor}", case("host") + ": h:1"]
    for name, value in draw(st.lists(st.tuples(TOKEN, VALUE), max_size=4)):
        if name.lower() not in RESERVED:
            lines.append(f"{name}:{value}")
    options = draw(st.lists(st.sampled_from(["close", "keep-alive", "x, Close"]), max_size=2))
    lines += [f"{case('connection')}: {option}" for option in options]
    framing = draw(st.sampled_from(["none", "length", "chunked"] if minor else ["none", "length"]))
    body = b""
    if framing == "length":
        body = draw(BODY)
        lines.append(f"{case('content-length')}:  {len(body)}\t")
    elif framing == "chunked":
        lines.append(f"Transfer-Encoding: {case('chunked')}")
        body = draw(chunked_bodies())
    if minor and draw(st.booleans()):
        lines.append("Expect: 100-Continue")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@st.composite
def chunked_bodies(draw: st.DrawFn) -> bytes:
    extensions = st.sampled_from([b"", b"", b";a", b';a=b;c="d;\\" e"'])
    parts = [
        b"%x%s\r\n%s\r\n" % (len(data), draw(extensions), data)
        for data in draw(st.lists(st.binary(min_size=1, max_size=20), max_size=4))
    ]
    trailers = draw(st.sampled_from([b"", b"", b"Vary: *\r\n", b"A: 1\r\nB:\r\n"]))
    return b"".join(parts) + b"0" * draw(st.integers(1, 3)) + b"\r\n" + trailers + b"\r\n"


CHARACTERS = [
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b":",
    b"\x00",
    b"0",
    b"1",
    b",",
    b";",
    b"#",
    b"\xff",
]
LINES = [b"Host: h\r\n", b"Content-Length: 3\r\n", b"Content-Length: 3, 3\r\n", b"Expect: x\r\n"]
CODINGS = [
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding:",
    b" chunked",
    b"Content-Length:",
]
STARTS = [b"POST / HTTP/1.1\r\n", b"POST / HTTP/1.0\r\n", b"HTTP/1.1", b"\r\n\r\n"]
PIECES = st.sampled_from([*CHARACTERS, *LINES, *CODINGS, *STARTS])


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Draw valid requests with a few pieces cut out, replaced or put in."""
    data = draw(requests())
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 4)))
        data = data[:start] + draw(PIECES | st.just(b"")) + data[end:]
    return data


ANY_BYTES = st.one_of(
    damaged(), requests(), st.lists(PIECES, max_size=12).map(b"".join), st.binary()
)


def outcome(request: Request | None) -> Outcome:
    return ("more",) if request is None else (request.head, bytes(request.body), request.end)


def read_whole(data: bytes) -> Outcome:
    try:
        return outcome(Reader().examine(data, len(data)))
    except RequestError as error:
        return (type(error),)


def read_in_pieces(data: bytes, cuts: list[int]) -> Outcome:
    """
    Read a request as it arrives: one reader, shown a longer prefix each time.

    The number of bytes that it needs only grows, up to the end of the request.
    """
    reader = Reader()
    wanted: list[int] = []
    try:
        for cut in sorted({min(cut, len(data)) for cut in cuts} | {len(data)}):
            request = reader.examine(data, cut)
            wanted.append(reader.bytes_needed)
            if request is not None:
                assert wanted == sorted(wanted)
                assert wanted[-1] == request.end
                return outcome(request)
    except RequestError as error:
        return (type(error),)
    return ("more",)


def read_by_h11(data: bytes) -> tuple[h11.Request, bytes, int]:
    """Return the first request as h11 reads it: its head, body and end."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    request = connection.next_event()
    assert isinstance(request, h11.Request), request
    body = b""
    while isinstance(event := connection.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage), event
    return request, body, len(data) - len(connection.trailing_data[0])


def path_of(target: str) -> str:
    origin_form = re.sub(r"(?i)\Ahttps?://[^/?]*", "", target)
    if origin_form == target and not target.startswith("/"):
        return target
    return origin_form.partition("?")[0] or "/"


def without_empty_lines(data: bytes) -> bytes:
    return data[2 * ((data[:2] == b"\r\n") + (data[:4] == b"\r\n\r\n")) :]


def assert_read_alike(data: bytes, ours: Request) -> None:
    stripped = without_empty_lines(data)
    theirs, body, end = read_by_h11(stripped)
    assert ours.head.method.encode() == theirs.method
    assert ours.head.path == path_of(theirs.target.decode())
    assert ours.head.minor == int(theirs.http_version[-1:])
    is_absolute = theirs.target.lower().startswith((b"http://", b"https://"))
    apart = {TE, "host"} if is_absolute else {TE}
    assert [(n.encode(), v.encode("latin-1")) for n, v in ours.head.headers if n not in apart] == [
        (name, value) for name, value in theirs.headers if name.decode("latin-1") not in apart
    ]
    assert bytes(ours.body) == body
    assert ours.end - (len(data) - len(stripped)) == end


@PROFILE
@given(requests(), BODY)
def test_a_valid_request_reads_as_in_h11(data: bytes, rest: bytes) -> None:
    request = Reader().examine(data + rest, len(data + rest))
    assert request is not None
    assert request.end == len(data)
    assert_read_alike(data + rest, request)


@settings(PROFILE, max_examples=600)
@given(ANY_BYTES)
def test_what_is_accepted_h11_accepts_with_the_same_framing(data: bytes) -> None:
    try:
        request = Reader().examine(data, len(data))
    except RequestError:
        return
    if request is not None:
        assert_read_alike(data, request)


@PROFILE
@given(ANY_BYTES, st.lists(st.integers(0, 300), max_size=8))
def test_where_it_is_split_makes_no_difference(data: bytes, cuts: list[int]) -> None:
    assert read_in_pieces(data, cuts) == read_whole(data)


@settings(PROFILE, max_examples=100)
@given(ANY_BYTES)
def test_byte_by_byte_makes_no_difference(data: bytes) -> None:
    assert read_in_pieces(data, list(range(len(data)))) == read_whole(data)


@settings(PROFILE, max_examples=100)
@given(st.lists(requests(), min_size=1, max_size=4), st.booleans())
def test_pipelined_requests_end_exactly(sent: list[bytes], view: bool) -> None:
    data = b"".join(sent)
    for one in sent:
        buffer = memoryview(data) if view else data
        request = Reader().examine(buffer, len(data))
        assert request is not None
        assert request.end == len(one)
        data = data[request.end :]


@pytest.mark.parametrize("kind", ["bytearray", "memoryview", "mmap"])
@settings(PROFILE, max_examples=60)
@given(data=ANY_BYTES)
def test_every_kind_of_buffer_reads_alike(kind: str, data: bytes) -> None:
    padded = data + b"\r\n\r\n0\r\n\r\n"  # what lies beyond the length is not looked at
    buffer: bytearray | memoryview | mmap.mmap = bytearray(padded)
    if kind == "memoryview":
        buffer = memoryview(padded)
    elif kind == "mmap":
        buffer = mmap.mmap(-1, len(padded))
        buffer[:] = padded
    try:
        found = outcome(Reader().examine(buffer, len(data)))
    except RequestError as error:
        found = (type(error),)
    assert found == read_whole(data)
