"""Requests to a WSGI application, and its responses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.validate import validator

import pytest

from hotwhisk.http1.head import parse_head
from hotwhisk.http1.http1 import HttpResponse
from hotwhisk.worker.wsgi import WsgiFunction, make_environ
from tests.unit.worker.supervised import Supervised
from tests.unit.worker.test_event_requests import request

Start = Callable[..., Any]


def environ(start: str, *lines: str, body: bytes = b"") -> dict[str, Any]:
    head = parse_head("\r\n".join([f"{start} HTTP/1.1", "Host: a.example:81", *lines]).encode())
    return make_environ(head, body, "10.0.0.1")


def response_of(application: Any, **more: Any) -> HttpResponse:
    return WsgiFunction(application)(environ("GET /", **more))


def hello(_: object, start: Start) -> Iterable[bytes]:
    start("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def test_an_application_gets_what_the_standard_demands() -> None:
    function = WsgiFunction(validator(hello))  # of the standard library: it asserts
    given = environ("GET /a%20b/%C3%A4?q=1&r=%20")
    del given["CONTENT_LENGTH"]  # the validator takes an empty body for none
    assert function(given).body == b"hello"


def test_the_environ_describes_the_request() -> None:
    found = environ(
        "POST /a%20b?q=%20", "Content-Type: text/x", "X-One: 1", "X-One: 2", "X_One: 3",
        "Cookie: a=1", "Cookie: b=2", body=b"abc",
    )  # fmt: skip
    assert found["wsgi.input"].read() == b"abc"
    assert found.items() >= {
        "REQUEST_METHOD": "POST", "PATH_INFO": "/a b", "QUERY_STRING": "q=%20", "REMOTE_ADDR": "10.0.0.1",
        "SERVER_NAME": "a.example", "SERVER_PORT": "81", "CONTENT_TYPE": "text/x", "CONTENT_LENGTH": "3",
        "HTTP_X_ONE": "1, 2", "HTTP_COOKIE": "a=1; b=2", "HTTP_HOST": "a.example:81",
    }.items()  # fmt: skip


@pytest.mark.parametrize("host", ["a.example", "[::1]"])
def test_a_host_without_a_port(host: str) -> None:
    head = parse_head(f"GET / HTTP/1.1\r\nHost: {host}".encode())
    found = make_environ(head, b"", "")
    assert (found["SERVER_NAME"], found["SERVER_PORT"]) == (host, "80")


def test_the_response_is_joined_and_closed() -> None:
    closed = []

    class Parts(list[bytes]):
        def close(self) -> None:
            closed.append(True)

    def application(_: object, start: Start) -> Iterable[bytes]:
        start("404 NOT FOUND", [("X-A", "1"), ("Connection", "close"), ("Content-Length", "9")])(
            b"a"
        )
        return Parts([b"b", b"c"])

    assert response_of(application) == HttpResponse(404, b"X-A: 1\r\nContent-Length: 3\r\n", b"abc")
    assert closed


def test_a_response_without_a_body_has_no_length() -> None:
    def application(_: object, start: Start) -> Iterable[bytes]:
        start("204 NO CONTENT", [("Content-Length", "0")])
        return []

    assert response_of(application) == HttpResponse(204, b"", b"")


def test_a_response_to_head_has_the_length_of_the_body_that_is_left_out() -> None:
    def application(_: object, start: Start) -> Iterable[bytes]:
        start("200 OK", [("Content-Length", "9")])
        return []

    assert response_of(application).headers == b"Content-Length: 9\r\n"


@pytest.mark.parametrize(
    "headers",
    [
        [("X-A", "1\r\nX-B: 2")],
        [("X-A\r\nX-B", "1")],
        [("X-A", "1\nX-B: 2")],
        [("X-A", "1\rX-B: 2")],
        [("Content-Length", "0"), ("Connection", "close"), ("X-A", "1\r\nX-B: 2")],
        [("Connection", "close\r\nX-B: 2")],
    ],
)
def test_a_line_break_in_a_header_is_an_error(headers: list[tuple[str, str]]) -> None:
    def application(_: object, start: Start) -> Iterable[bytes]:
        start("200 OK", headers)
        return []

    with pytest.raises(ValueError, match="line break"):
        response_of(application)


# -- in a worker -------------------------------------------------------------------------------


def ask(supervise: Callable[..., Supervised], application: Any, sent: bytes) -> Any:
    events = supervise(cloudevents=True)
    events.serve(WsgiFunction(application))
    return events.client(sent).response()


def path(given: dict[str, str], start: Start) -> Iterable[bytes]:
    start("201 CREATED", [("X-Client", given["REMOTE_ADDR"])])
    return [f"{given['REQUEST_METHOD']} {given['PATH_INFO']}".encode()]


@pytest.mark.parametrize("start", ["GET /", "PUT /a/b", "POST /run", "DELETE /x"])
def test_every_path_and_method_goes_to_the_application(
    supervise: Callable[..., Supervised], start: str
) -> None:
    response = ask(supervise, path, request(b"", start=start))
    assert (response.status, response.body.decode()) == (201, start)
    assert response.headers["x-client"] == "127.0.0.1"


def test_probes_are_answered_by_the_server(supervise: Callable[..., Supervised]) -> None:
    response = ask(supervise, path, request(b"", start="GET /health/readiness"))
    assert response.body == b"OK\n"


def test_an_application_that_raises_has_failed(supervise: Callable[..., Supervised]) -> None:
    def application(_: object, start: Start) -> Iterable[bytes]:
        raise ValueError("oh")

    response = ask(supervise, application, request(b""))
    assert response.status == 500
    assert "ValueError: oh" in str(response.error)


def test_a_spare_parks_a_request_to_any_path(supervise: Callable[..., Supervised]) -> None:
    spare = supervise(cloudevents=True)
    client = spare.client(request(b"", start="PATCH /a"))
    assert spare.spilled(client).startswith(b"PATCH /a ")
    spare.serve(WsgiFunction(path))
    spare.assign(client)
    assert client.response().body == b"PATCH /a"
