"""A kept connection against a server that answers in every framing of HTTP/1.1."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from hotwhisk.aws_lambda.http_connection import ConnectionEnded, HttpConnection
from hotwhisk.config.option import Address

WHOLE = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\nX-A:  b \r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
CLOSING = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Answers:
    """A server that gives one answer to each request, and ends a connection after the last."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(20)
        self.requests: list[bytes] = []
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> Address:
        return Address(*self.listener.getsockname())

    def give(self, *connections: list[bytes]) -> None:
        """Answer the requests of one connection after the other by these answers."""
        self._thread = threading.Thread(target=self._serve, args=(connections,))
        self._thread.start()

    def close(self) -> None:
        """Wait until all answers are given."""
        if self._thread is not None:
            self._thread.join(20)
        self.listener.close()

    def _serve(self, connections: tuple[list[bytes], ...]) -> None:
        for answers in connections:
            connection, _ = self.listener.accept()
            with connection:
                for answer in answers:
                    self.requests.append(connection.recv(65536))
                    for at in range(0, len(answer), 7):  # in pieces that end anywhere
                        connection.sendall(answer[at : at + 7])


@pytest.fixture
def answers() -> Iterator[Answers]:
    server = Answers()
    yield server
    server.close()


def test_a_connection_is_kept_over_answers_of_any_framing(answers: Answers) -> None:
    answers.give([WHOLE, CHUNKED, WHOLE])
    connection = HttpConnection(answers.address)
    first = connection.request(b"POST /a", b"X-Y: z\r\n", b"body")
    assert (first.status, first.header("x-a"), first.body) == (202, "b", b"{}")
    assert connection.request(b"GET /b").body == b"abcde"
    assert connection.request(b"POST /c", body=b"").header("x-none") == ""
    connection.close()
    host = f"127.0.0.1:{answers.address.port}".encode()
    assert answers.requests == [
        b"POST /a HTTP/1.1\r\nHost: %s\r\nX-Y: z\r\nContent-Length: 4\r\n\r\nbody" % host,
        b"GET /b HTTP/1.1\r\nHost: %s\r\n\r\n" % host,
        b"POST /c HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n" % host,
    ]


def test_a_connection_that_the_server_ends_is_made_again(answers: Answers) -> None:
    answers.give([CLOSING], [WHOLE])
    connection = HttpConnection(answers.address)
    assert connection.request(b"GET /a").status == 200
    assert connection.request(b"GET /b").status == 202
    connection.close()


def test_a_connection_that_ends_within_an_answer_has_no_answer(answers: Answers) -> None:
    answers.give([WHOLE[:-1]], [WHOLE])
    connection = HttpConnection(answers.address)
    with pytest.raises(ConnectionEnded):
        connection.request(b"GET /a")
    assert connection.request(b"GET /a").status == 202
    connection.close()
