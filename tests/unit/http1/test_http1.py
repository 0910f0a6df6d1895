"""The reader's rules one by one, and the response head."""

from __future__ import annotations

import mmap
import os

import pytest

from hotwhisk import errors
from hotwhisk.http1.chunked import MAX_CHUNK_LINE, MAX_FRAMING, MAX_TRAILER
from hotwhisk.http1.head import MAX_METHOD
from hotwhisk.http1.http1 import (
    CONTINUE,
    MAX_BLANK_LINES,
    MAX_HEAD,
    Head,
    Reader,
    Request,
    bare_head,
    response_head,
)

POST = b"POST /run HTTP/1.1\r\nHost: h\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


def read(data: bytes) -> Request:
    request = Reader().examine(data, len(data))
    assert request is not None
    return request


def head(*lines: str, start: str = "POST /run HTTP/1.1", host: str = "h") -> Head:
    text = "\r\n".join([start, f"Host: {host}", *lines, "", ""])
    return read(text.encode("latin-1") + b"0123456789").head


def refusal(data: bytes) -> errors.RequestError:
    """Return the error for ``data``; its text must be readable, whatever was sent."""
    with pytest.raises(errors.RequestError) as caught:
        read(data)
    text = str(caught.value)
    assert text.isascii()
    assert text.isprintable()
    assert len(text) < 250
    return caught.value


def refused(*lines: str, start: str = "POST /run HTTP/1.1") -> errors.RequestError:
    return refusal("\r\n".join([start, *lines, "", ""]).encode("latin-1"))


# -- the request line


def test_a_small_post() -> None:
    data = POST + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    request = read(data + b"rest")
    assert request is not None
    assert (request.body, request.end) == (b"{}", len(data))
    assert request.head == Head(
        method="POST",
        path="/run",
        minor=1,
        headers=(("host", "h"), ("content-type", "application/json"), ("content-length", "2")),
        content_length=2,
        chunked=False,
        keep_alive=True,
        expects_continue=False,
    )


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/run", "/run", ""),
        ("/run?a=/b?c", "/run", "a=/b?c"),
        ("/a%2Fb", "/a%2Fb", ""),
        ("//h/run", "//h/run", ""),
        ("*", "*", ""),
        ("h:80", "h:80", ""),
        ("http://h", "/", ""),
        ("HTTP://H/run?x", "/run", "x"),
        ("https://h?x=http://y", "/", "x=http://y"),
        ("ftp://h/run", "ftp://h/run", ""),
    ],
)
def test_path(target: str, path: str, query: str) -> None:
    found = head(start=f"GET {target} HTTP/1.1")
    assert (found.path, found.query) == (path, query)


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("http://other/run", "other"),
        ("http://Other:81?x", "Other:81"),
        ("http://[::1]:80/", "[::1]:80"),
        ("https://h/run", "h"),
    ],
)
def test_an_absolute_target_is_taken_whatever_the_host_says(target: str, host: str) -> None:
    for lines in ("Host: h", "Host: unlike:80\r\nA: b", "Host:"):
        found = read(f"GET {target} HTTP/1.1\r\n{lines}\r\n\r\n".encode()).head
        assert found.header("host") == host
        assert found.path in ("/run", "/")


@pytest.mark.parametrize("target", ["http:///run", "http://u@h/", "http://:80/", "http://h,g/"])
def test_an_absolute_target_names_a_host(target: str) -> None:
    assert "the target names the host" in str(refused("Host: h", start=f"GET {target} HTTP/1.1"))


def test_an_absolute_target_needs_no_host_in_http_1_0() -> None:
    found = read(b"GET http://h:1/x HTTP/1.0\r\n\r\n").head
    assert (found.path, found.header("host")) == ("/x", "h:1")
    assert "the target names the host" in str(refused(start="GET http://u@h/ HTTP/1.0"))


@pytest.mark.parametrize(
    "line",
    [
        "POST  /run HTTP/1.1",
        "POST /run  HTTP/1.1",
        "POST /run HTTP/1.1 ",
        " POST /run HTTP/1.1",
        "POST /run",
        "POST",
        "POST\t/run HTTP/1.1",
        "PO,ST /run HTTP/1.1",
        "POST /r\x80n HTTP/1.1",
        "POST /r\x00n HTTP/1.1",
        "POST /r\x7fn HTTP/1.1",
        "POST /run#part HTTP/1.1",
        "POST /run ICY/1.1",
        "POST /run http/1.1",
        "M" * (MAX_METHOD + 1) + " /run HTTP/1.1",
    ],
)
def test_a_malformed_request_line(line: str) -> None:
    assert type(refused("Host: h", start=line)) is errors.RequestError


@pytest.mark.parametrize("version", ["0.9", "1.2", "2.0", "1.10", "11", "1.1x", ""])
def test_another_version(version: str) -> None:
    error = refused("Host: h", start=f"POST /run HTTP/{version}")
    assert type(error) is errors.VersionNotSupported


def test_http2_by_prior_knowledge() -> None:
    error = refusal(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert type(error) is errors.VersionNotSupported


@pytest.mark.parametrize("count", range(MAX_BLANK_LINES + 1))
def test_empty_lines_before_a_request(count: int) -> None:
    request = read(b"\r\n" * count + POST + b"\r\nrest")
    assert request.end == 2 * count + len(POST) + 2


@pytest.mark.parametrize("before", [b"\r\n" * (MAX_BLANK_LINES + 1), b"\n", b"\r", b"\r\r\n", b" "])
def test_what_may_not_stand_before_a_request(before: bytes) -> None:
    assert type(refusal(before + POST + b"\r\n")) is errors.RequestError


@pytest.mark.parametrize("start", [b"", b"\r", b"\r\n", b"\r\n\r", b"\r\n\r\n", b"P", b"POST /run"])
def test_a_beginning_waits(start: bytes) -> None:
    reader = Reader()
    assert reader.examine(start, len(start)) is None
    assert (reader.head, reader.bytes_needed) == (None, 0)


@pytest.mark.parametrize(
    "junk", [b"\x00", b"{", b"\x80", b"POST\x00", b"GET\r\n", b"SSH-2.0-x\r\n"]
)
def test_what_is_not_http_is_refused_without_waiting(junk: bytes) -> None:
    assert "not an HTTP request" in str(refusal(junk))


def test_tls_gets_an_error_of_its_own() -> None:
    assert "not TLS" in str(refusal(b"\x16\x03\x01\x02\x00\x01"))
    assert "not TLS" in str(refusal(b"\x16\x03\r\n\r\n"))


# -- headers


@pytest.mark.parametrize(
    "line",
    [
        "X : 1",
        "X\t: 1",
        ": 1",
        "X",
        "X Y: 1",
        "X(: 1",
        "X\xe4: 1",
        " folded",
        "\tX: folded",
        "X: a\x00b",
        "X: a\x0bb",
        "X: a\x1fb",
        "X: a\x7fb",
        "X: a\nY: b",
        "X: a\rY: b",
        "X: a\r",
        "\nX: a",
    ],
)
def test_a_malformed_header(line: str) -> None:
    assert type(refused("Host: h", line)) is errors.RequestError


def test_lines_that_end_with_lf_alone_are_refused_without_waiting() -> None:
    assert "LF alone" in str(refusal(b"GET / HTTP/1.1\nHost: h\n\n"))


def test_values_lose_their_outer_blanks_only() -> None:
    found = head("X:\t a \t b\xff \t", "Y:", "z:z")
    assert found.headers[1:] == (("x", "a \t b\xff"), ("y", ""), ("z", "z"))


def test_repeated_headers_are_joined() -> None:
    found = head("Origin: a", "X: 1", "ORIGIN: b")
    assert found.header("origin") == "a, b"
    assert found.header("x") == "1"
    assert found.header("y") is None


@pytest.mark.parametrize(
    "host", ["h", "h:80", "h:", "", "[::1]:8080", "127.0.0.1", "a_b.c-d", "%41"]
)
def test_a_valid_host(host: str) -> None:
    assert head(host=host).header("host") == host


@pytest.mark.parametrize(
    "host", ["a b", "a/b", "a,b", "a@b", "a:b", "a:1:2", "[::1", "[x]", "%4", "\xe4"]
)
def test_an_invalid_host(host: str) -> None:
    assert "Host" in str(refused(f"Host: {host}"))


def test_exactly_one_host() -> None:
    assert "no Host" in str(refused("X: 1"))
    assert "2 Host" in str(refused("Host: h", "Host: h"))
    assert "2 Host" in str(refused("Host: h", "Host: h", start="GET / HTTP/1.0"))
    assert read(b"GET / HTTP/1.0\r\n\r\n").head.header("host") is None


@pytest.mark.parametrize(
    ("version", "values", "kept"),
    [
        ("1.1", [], True),
        ("1.1", ["close"], False),
        ("1.1", ["Close"], False),
        ("1.1", ["keep-alive, x ,\tCLOSE"], False),
        ("1.1", ["keep-alive", "close"], False),
        ("1.1", ["closed"], True),
        ("1.0", [], False),
        ("1.0", ["Keep-Alive"], True),
        ("1.0", ["keep-alive, close"], False),
    ],
)
def test_keep_alive(version: str, values: list[str], kept: bool) -> None:
    lines = [f"Connection: {value}" for value in values]
    assert head(*lines, start=f"POST /run HTTP/{version}").keep_alive is kept


def test_expect() -> None:
    assert head("Content-Length: 1", "Expect: 100-Continue").expects_continue
    assert not head("Content-Length: 0", "Expect: 100-continue").expects_continue
    assert not head("Expect: 100-continue").expects_continue
    old = head("Content-Length: 1", "Expect: 100-continue", start="POST /run HTTP/1.0")
    assert not old.expects_continue


def test_expect_is_known_before_the_body() -> None:
    data = CHUNKED.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    reader = Reader()
    assert reader.examine(data, len(data)) is None
    assert reader.head is not None
    assert reader.head.expects_continue


@pytest.mark.parametrize("value", ["", "x", "100-continue, x", "100"])
def test_another_expectation(value: str) -> None:
    assert type(refused("Host: h", f"Expect: {value}")) is errors.ExpectationFailed
    assert head(f"Expect: {value}", start="POST /run HTTP/1.0").path == "/run"


def test_a_head_at_its_limit() -> None:
    room = MAX_HEAD - len(POST) - len(b"X: \r\n\r\n")
    data = POST + b"X: " + b"x" * room + b"\r\n\r\n"
    assert len(data) == MAX_HEAD
    assert read(data).end == MAX_HEAD
    assert type(refusal(data.replace(b"X: ", b"XX: "))) is errors.HeadTooLarge


def test_a_head_too_large_is_refused_before_its_end() -> None:
    data = POST + b"X: " + b"x" * MAX_HEAD
    assert Reader().examine(data, MAX_HEAD - 1) is None
    assert type(refusal(data)) is errors.HeadTooLarge
    assert type(refusal(b"POST /" + b"x" * MAX_HEAD)) is errors.HeadTooLarge


# -- bodies


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 1", "Content-Length: 1"],
        ["Content-Length: 1, 1"],
        ["Content-Length: +1"],
        ["Content-Length: -1"],
        ["Content-Length: 1_0"],
        ["Content-Length: 0x1"],
        ["Content-Length: \xb2"],
        ["Content-Length: 1 1"],
        ["Content-Length:"],
        ["Content-Length: 1", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: identity", "Content-Length: 1"],
    ],
)
def test_framing_in_doubt(lines: list[str]) -> None:
    assert type(refused("Host: h", *lines)) is errors.RequestError


@pytest.mark.parametrize(
    "lines",
    [
        ["Transfer-Encoding: gzip"],
        ["Transfer-Encoding: gzip, chunked"],
        ["Transfer-Encoding: chunked, chunked"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked;a=b"],
        ["Transfer-Encoding: \x85chunked"],
        ["Transfer-Encoding:"],
    ],
)
def test_another_coding(lines: list[str]) -> None:
    assert type(refused("Host: h", *lines)) is errors.NotImplementedCoding


def test_no_coding_in_http_1_0() -> None:
    error = refused("Transfer-Encoding: chunked", start="POST /run HTTP/1.0")
    assert type(error) is errors.RequestError


def test_a_body_too_large_is_refused_with_the_head() -> None:
    data = POST + b"Content-Length: 11\r\n\r\n"
    with pytest.raises(errors.BodyTooLarge):
        Reader(max_body=10).examine(data, len(data))
    assert Reader(max_body=11).examine(data, len(data)) is None
    assert type(refused("Host: h", "Content-Length: " + "9" * 17)) is errors.BodyTooLarge


def test_wanted_is_the_whole_request_once_the_head_is_known() -> None:
    data = POST + b"Content-Length: 70000\r\n\r\n"
    reader = Reader()
    assert reader.examine(data, len(data)) is None
    assert reader.bytes_needed == len(data) + 70000


def test_wanted_reaches_beyond_the_chunk_that_has_begun() -> None:
    data = CHUNKED + b"1000\r\n"
    reader = Reader()
    assert reader.examine(data, len(data)) is None
    assert reader.bytes_needed == len(data) + 0x1000 + 2 + len(LAST)


def test_a_body_of_another_buffer_is_not_copied() -> None:
    data = bytearray(POST + b"Content-Length: 2\r\n\r\n{}")
    request = Reader().examine(data, len(data))
    assert request is not None
    assert isinstance(request.body, memoryview)
    data[-2:] = b"[]"
    assert bytes(request.body) == b"[]"


def test_without_a_body_no_buffer_is_pinned() -> None:
    data = bytearray(POST + b"\r\n")
    request = Reader().examine(data, len(data))
    assert request is not None
    data.clear()
    assert request.body == b""


@pytest.mark.parametrize("rest", [b"", b"5\r\nab", LAST])
def test_a_chunked_body_pins_no_buffer(rest: bytes) -> None:
    data = bytearray(CHUNKED + b"2\r\n{}\r\n" + rest)
    request = Reader().examine(data, len(data))
    data.clear()
    assert request is None or bytes(request.body) == b"{}"


def test_a_refused_chunk_pins_no_buffer() -> None:
    data = bytearray(CHUNKED + b"x\r\n")
    with pytest.raises(errors.RequestError):
        Reader().examine(data, len(data))
    data.clear()


def test_a_memory_map_grows_while_it_is_read() -> None:
    data = CHUNKED + b"5\r\nhello\r\n" + LAST
    # A memory file, as in a worker: Python 3.15 has nothing else of what is shared grow.
    descriptor = os.memfd_create("test")
    os.ftruncate(descriptor, mmap.PAGESIZE)
    buffer = mmap.mmap(descriptor, mmap.PAGESIZE)
    os.close(descriptor)
    with buffer:
        buffer[: len(data)] = data
        reader = Reader()
        assert reader.examine(buffer, len(data) - 3) is None
        buffer.resize(2 * mmap.PAGESIZE)
        request = reader.examine(buffer, len(data))
        assert request is not None
        assert bytes(request.body) == b"hello"


@pytest.mark.parametrize(
    "body",
    [
        b"\r\n",
        b"x\r\n",
        b"0x1\r\na\r\n",
        b"+1\r\na\r\n",
        b"1_0\r\n",
        b" 1\r\na\r\n",
        b"1 \r\na\r\n",
        b"1;\r\na\r\n",
        b"1;a=\r\na\r\n",
        b"1;a b\r\na\r\n",
        b'1;a="\r\na\r\n',
        b"1;a\x00\r\na\r\n",
        b"1\na\r\n",
        b"1;a\rb\r\na\r\n",
        b"1\r\nab\r\n",
        b"1\r\na\n",
        b"1" * 17 + b"\r\n",
        b"1;" + b"a" * MAX_CHUNK_LINE,
        b"1;" + b"a" * MAX_CHUNK_LINE + b"\r\na\r\n",
        b"0\r\nX\r\n\r\n",
        b"0\r\nX : 1\r\n\r\n",
        b"0\r\nX: 1\n\r\n\r\n",
        b"0\r\n\nX: 1\r\n\r\n",
        b"0\r\nX: \x00\r\n\r\n",
        b"0\r\nContent-Length: 1\r\n\r\n",
        b"0\r\nA: 1\r\ntransfer-encoding: chunked\r\n\r\n",
    ],
)
def test_malformed_chunks(body: bytes) -> None:
    assert type(refusal(CHUNKED + body)) is errors.RequestError


@pytest.mark.parametrize("size", [b"4", b"04", b"0" * 15 + b"4", b"4;a", b'4;a=b;c="d \\" \xff"'])
def test_chunk_lines(size: bytes) -> None:
    assert read(CHUNKED + size + b"\r\n\r\n\r\n\r\n" + LAST).body == b"\r\n\r\n"


def test_trailers_are_dropped_and_bounded() -> None:
    request = read(CHUNKED + b"0\r\nX: 1\r\nY: 2\r\n\r\nrest")
    assert (request.head.header("x"), request.body) == (None, b"")
    assert type(refusal(CHUNKED + b"0\r\nX: " + b"x" * MAX_TRAILER)) is errors.HeadTooLarge


def test_a_chunked_body_too_large() -> None:
    data = CHUNKED + b"6\r\nabcdef\r\n5\r\n"
    assert Reader(max_body=11).examine(data, len(data)) is None
    with pytest.raises(errors.BodyTooLarge):
        Reader(max_body=10).examine(data, len(data))


def test_chunk_framing_is_bounded() -> None:
    chunk = b"1;" + b"a" * (MAX_CHUNK_LINE - 4) + b"\r\nx\r\n"
    count = MAX_FRAMING // (len(chunk) - 1) + 1
    assert type(refusal(CHUNKED + chunk * count + LAST)) is errors.BodyTooLarge
    assert len(read(CHUNKED + chunk * (count - 1) + LAST).body) == count - 1


class CountingBuffer(bytearray):
    """A buffer that counts how often it is searched for the end of the head, and how far."""

    searched = 0

    def find(self, sub: object, start: object = 0, end: object = None) -> int:
        assert isinstance(sub, bytes)
        assert isinstance(start, int)
        assert isinstance(end, int)
        self.searched += end - start
        return super().find(sub, start, end)


def test_a_slow_sender_is_not_searched_again() -> None:
    data = CountingBuffer(POST + b"X: " + b"x" * 2000 + b"\r\n\r\n")
    reader = Reader()
    for length in range(len(data)):
        assert reader.examine(data, length) is None
    assert reader.examine(data, len(data)) is not None
    assert data.searched < 5 * len(data)


def test_a_large_chunked_body_is_read_in_one_pass() -> None:
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    data = CHUNKED + chunk * 64 + LAST
    reader = Reader()
    for length in range(0, len(data), 1024):
        assert reader.examine(data, length) is None
    request = reader.examine(data, len(data))
    assert request is not None
    assert request.body == b"x" * 65536 * 64


# -- responses


def test_response_head() -> None:
    assert response_head(200, 2, b"Hotwhisk-Generation: 7 sha256:ab\r\n") == (
        b"HTTP/1.1 200 OK\r\n"
        b"Content-Type: application/json\r\n"
        b"Content-Length: 2\r\n"
        b"Hotwhisk-Generation: 7 sha256:ab\r\n"
        b"\r\n"
    )


@pytest.mark.parametrize(
    ("keep_alive", "minor", "line"),
    [
        (True, 1, None),
        (False, 1, b"Connection: close"),
        (True, 0, b"Connection: keep-alive"),
        (False, 0, b"Connection: close"),
    ],
)
def test_response_connection(keep_alive: bool, minor: int, line: bytes | None) -> None:
    for whole in (
        response_head(502, 0, keep_alive=keep_alive, minor=minor),
        bare_head(502, b"", keep_alive=keep_alive, minor=minor),
    ):
        lines = whole.split(b"\r\n")
        assert [found for found in lines if found.startswith(b"Connection")] == [line] * bool(line)


def test_a_bare_head_has_the_headers_that_it_is_given_and_no_others() -> None:
    assert bare_head(204, b"A: 1\r\n") == b"HTTP/1.1 204 No Content\r\nA: 1\r\n\r\n"
    assert bare_head(299, b"") == b"HTTP/1.1 299 \r\n\r\n"


def leaves(error: type[errors.HotwhiskError]) -> list[type[errors.HotwhiskError]]:
    return [error] + [leaf for child in error.__subclasses__() for leaf in leaves(child)]


@pytest.mark.parametrize("status", sorted({error.status for error in leaves(errors.HotwhiskError)}))
def test_every_status_of_the_error_tree_has_a_reason(status: int) -> None:
    assert not response_head(status, 0).startswith(b"HTTP/1.1 %d \r\n" % status)


def test_an_unknown_status_has_an_empty_reason() -> None:
    assert response_head(299, 0).startswith(b"HTTP/1.1 299 \r\n")


def test_continue() -> None:
    assert CONTINUE == b"HTTP/1.1 100 Continue\r\n\r\n"
