"""A connection over real sockets: what is kept for another worker, and what is sent."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from hotwhisk.errors import RequestError
from hotwhisk.http1.http1 import CONTINUE, Request
from hotwhisk.ipc.scoreboard import Phase, Scoreboard
from hotwhisk.ipc.worker_counters import WorkerCounters
from hotwhisk.system.tcp import bytes_written
from hotwhisk.worker.connection import Connection, Disconnected
from hotwhisk.worker.spill import Spill, Spills

NUMBER = 2
LARGE = bytes(range(256)) * 2000


def post(body: bytes, *lines: str, path: str = "/run") -> bytes:
    head = "\r\n".join([f"POST {path} HTTP/1.1", "Host: h", *lines])
    return f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Wire:
    """A client, and the workers that hold its connection one after the other."""

    def __init__(self, listener: socket.socket) -> None:
        self.client = socket.create_connection(listener.getsockname(), timeout=5)
        self.server, _ = listener.accept()
        self.scoreboard = Scoreboard(4)
        self.scoreboard.begin_connection(NUMBER)
        self.files: dict[int, int] = {}
        self.buffer = memoryview(bytearray(65536))
        self.workers = 0

    def worker(self) -> Connection:
        """Return the connection as the next worker gets it."""
        self.workers += 1
        row = self.scoreboard.row(NUMBER)
        spills = Spills(self.workers * 100, self.created, self.closed, lambda: None)
        counters = WorkerCounters(self.scoreboard, self.workers)
        connection = Connection(
            NUMBER, os.dup(self.server.fileno()), self.scoreboard, counters, spills
        )
        if row.spill:
            connection.resume(Spill.adopt(row.spill, os.dup(self.files[row.spill])), row.spilled)
        return connection

    def created(self, number: int, descriptor: int) -> None:
        self.files[number] = os.dup(descriptor)

    def closed(self, number: int) -> None:
        os.close(self.files.pop(number))

    def receive(self, connection: Connection) -> Request | None:
        return connection.receive(self.buffer)

    def wait(self, connection: Connection) -> Request:
        """Receive until a request is whole; the test's timeout is the deadline."""
        while True:
            request = self.receive(connection)
            if request is not None:
                return request

    def send(self, data: bytes) -> None:
        """Send, and return when it can be read."""
        self.client.sendall(data)
        self.server.settimeout(5)
        while len(self.server.recv(len(data), socket.MSG_PEEK)) < min(len(data), 1000):
            pass


@pytest.fixture
def wire() -> Iterator[Wire]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wire = Wire(listener)
    yield wire
    wire.client.close()
    wire.server.close()
    for number in list(wire.files):
        wire.closed(number)


def test_a_small_request_touches_no_file(wire: Wire) -> None:
    connection = wire.worker()
    wire.send(post(b"{}"))
    request = wire.receive(connection)
    assert request is not None
    assert request.body == b"{}"
    assert not wire.files
    assert connection.answer(200, b"[]", b"X: y\r\n", keep_alive=True)
    answer = wire.client.recv(1000)
    assert answer.endswith(b"X: y\r\n\r\n[]")
    assert connection.sent == len(answer) == wire.scoreboard.row(NUMBER).answer
    connection.close_duplicate()


def test_without_bytes_there_is_no_request_and_the_phase_stays_idle(wire: Wire) -> None:
    connection = wire.worker()
    assert wire.receive(connection) is None
    assert wire.scoreboard.phase(NUMBER) is Phase.IDLE
    connection.close_duplicate()


@pytest.mark.parametrize("cut", [1, 10, 50, 59, 60])
def test_the_next_worker_continues_with_half_a_request(wire: Wire, cut: int) -> None:
    data = post(b"0123456789")
    first = wire.worker()
    wire.send(data[:cut])
    assert wire.receive(first) is None
    assert wire.scoreboard.phase(NUMBER) is Phase.BUFFERED
    assert wire.scoreboard.row(NUMBER).spilled == cut
    first.close_duplicate()
    second = wire.worker()
    assert second.examine_spill() is None
    wire.send(data[cut:])
    request = wire.receive(second)
    assert request is not None
    assert bytes(request.body) == b"0123456789"
    second.close_duplicate()


def test_a_large_body_passes_through_three_workers(wire: Wire) -> None:
    data = post(LARGE)
    request = None
    connection = wire.worker()
    for at in (0, 100_000, 300_000):
        wire.client.sendall(data[at : at + 1000])
        while wire.scoreboard.row(NUMBER).spilled < at + 1000:
            assert wire.receive(connection) is None
        if at == 0:
            wire.client.sendall(data[1000:100_000])
            upto = 100_000
        else:
            upto = 300_000 if at == 100_000 else len(data)
            wire.client.sendall(data[at + 1000 : upto])
        while wire.scoreboard.row(NUMBER).spilled < upto:
            request = wire.receive(connection)
        if upto < len(data):
            connection.close_duplicate()
            connection = wire.worker()
    assert request is not None
    assert bytes(request.body) == LARGE
    assert len(wire.files) == 1
    connection.request_done()
    assert wire.scoreboard.row(NUMBER).spill == 0
    connection.close_duplicate()


def test_a_chunked_body_can_arrive_in_pieces(wire: Wire) -> None:
    connection = wire.worker()
    head = b"POST /run HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    wire.send(head + b"5\r\n01234\r\n")
    assert wire.receive(connection) is None
    connection.close_duplicate()
    connection = wire.worker()
    wire.send(b"5\r\n56789\r\n0\r\n\r\nPOST")
    request = wire.wait(connection)
    assert bytes(request.body) == b"0123456789"
    assert connection.pipelined
    connection.request_done()
    assert connection.next_request() is None
    assert wire.scoreboard.row(NUMBER).spilled == 4
    connection.close_duplicate()


def test_pipelined_requests_are_returned_in_turn(wire: Wire) -> None:
    connection = wire.worker()
    wire.send(post(b"1") + post(b"2") + post(b"3")[:-1])
    request = wire.receive(connection)
    bodies = []
    while request is not None:
        bodies.append(bytes(request.body))
        connection.request_done()
        request = connection.next_request()
    assert bodies == [b"1", b"2"]
    assert wire.scoreboard.phase(NUMBER) is Phase.BUFFERED
    connection.close_duplicate()
    connection = wire.worker()
    wire.send(b"3")
    assert bytes(wire.wait(connection).body) == b"3"
    connection.close_duplicate()


@pytest.mark.parametrize("body", [b"1", LARGE])
@pytest.mark.parametrize("phase", [Phase.BUFFERED, Phase.PARKED])
def test_a_saved_request_is_parsed_again_by_the_next_worker(
    wire: Wire, body: bytes, phase: Phase
) -> None:
    connection = wire.worker()
    wire.client.setblocking(True)
    request = send_all_and_wait(wire, connection, post(body))
    connection.save_request(phase)
    connection.close_duplicate()
    assert bytes(request.body) == body  # the caller may still look at it
    del request
    assert wire.scoreboard.phase(NUMBER) is phase
    connection = wire.worker()
    again = connection.examine_spill()
    assert again is not None
    assert bytes(again.body) == body
    wire.send(post(b"next"))
    connection.request_done()
    assert wire.wait(connection).body == b"next"
    connection.close_duplicate()


def send_all_and_wait(wire: Wire, connection: Connection, data: bytes) -> Request:
    view = memoryview(data)
    while True:
        wire.client.sendall(view[:60_000])
        view = view[60_000:]
        while True:
            request = wire.receive(connection)
            if request is not None:
                return request
            row = wire.scoreboard.row(NUMBER)
            if row.spilled == len(data) - len(view):
                break


def test_a_client_that_expects_100_continue_gets_it_once(wire: Wire) -> None:
    connection = wire.worker()
    data = post(b"0123456789", "Expect: 100-continue")
    wire.send(data[:-10])
    assert wire.receive(connection) is None
    assert wire.client.recv(1000) == CONTINUE
    wire.send(data[-10:-5])
    assert wire.receive(connection) is None
    wire.send(data[-5:])
    assert bytes(wire.wait(connection).body) == b"0123456789"
    assert connection.answer(200, b"{}", b"", keep_alive=True)
    assert wire.client.recv(1000).startswith(b"HTTP/1.1 200")
    connection.close_duplicate()


def test_the_count_of_bytes_sent_survives_a_move_after_continue(wire: Wire) -> None:
    connection = wire.worker()
    wire.send(post(b"0123456789", "Expect: 100-continue")[:-10])
    assert wire.receive(connection) is None
    connection.close_duplicate()
    connection = wire.worker()
    # Recoveries depend on this count. If it is too small by one, an answer is lost.
    sent = connection.sent
    connection.close_duplicate()
    assert sent == bytes_written(wire.server.fileno())


def test_a_whole_request_with_expect_gets_no_100_continue(wire: Wire) -> None:
    connection = wire.worker()
    wire.send(post(b"0", "Expect: 100-continue"))
    assert wire.receive(connection) is not None
    assert connection.sent == 0
    connection.close_duplicate()


@pytest.mark.parametrize("followed", [b"", post(b"2"), post(b"2")[:20]])
@pytest.mark.parametrize("body", [b"", b"init", LARGE])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_body_of_an_init_is_in_the_file_and_the_rest_is_kept(
    wire: Wire, body: bytes, followed: bytes, chunked: bool
) -> None:
    data = post(body, path="/init")
    if chunked:
        head = b"POST /init HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunk = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
        data = head + chunk + b"0\r\n\r\n"
    connection = wire.worker()
    request = send_all_and_wait(wire, connection, data + followed)
    length = len(request.body)
    spill, offset, descriptor = connection.take_body(request)
    if descriptor >= 0:
        wire.files[spill] = descriptor
    connection.close_duplicate()
    assert os.pread(wire.files[spill], length, offset) == body
    assert wire.scoreboard.phase(NUMBER) is Phase.INIT_PENDING
    row = wire.scoreboard.row(NUMBER)
    assert row.spilled in (len(followed), 0)  # 0: it is unread, which keeps it as well
    if row.spilled:
        assert row.spill != spill
        after = wire.worker()
        again = after.examine_spill()
        assert (again is not None) is (followed == post(b"2"))
        after.close_duplicate()


def test_a_slow_reader_gets_all_of_it(wire: Wire) -> None:
    connection = wire.worker()
    body = b"[" + b"0" * 8_000_000 + b"]"
    assert not connection.answer(200, body, b"", keep_alive=True)
    assert wire.scoreboard.phase(NUMBER) is Phase.RESPONDING
    assert connection.sent == bytes_written(wire.server.fileno())
    received = bytearray()
    while not connection.flush():
        received += wire.client.recv(1 << 20)
    total = wire.scoreboard.row(NUMBER).answer
    while len(received) < total:
        received += wire.client.recv(1 << 20)
    assert connection.sent == total
    assert received.endswith(body)
    connection.close_duplicate()


def test_a_client_that_has_closed_its_sending_half_still_gets_its_response(wire: Wire) -> None:
    connection = wire.worker()
    wire.client.sendall(post(b"1"))
    wire.client.shutdown(socket.SHUT_WR)
    assert bytes(wire.wait(connection).body) == b"1"  # half-closed: it still reads
    assert connection.answer(200, b"{}", b"", keep_alive=True)
    with pytest.raises(Disconnected):
        wire.receive(connection)
    connection.close()
    assert wire.scoreboard.phase(NUMBER) is Phase.CLOSED


def test_a_client_that_closes_within_a_request_is_disconnected(wire: Wire) -> None:
    connection = wire.worker()
    wire.send(post(b"1")[:-1])
    assert wire.receive(connection) is None
    wire.client.close()
    with pytest.raises(Disconnected):
        wire.receive(connection)
    connection.close()


def test_bytes_that_are_not_a_request_are_refused_and_the_error_can_be_read(wire: Wire) -> None:
    connection = wire.worker()
    wire.send(b"\x16\x03\x01\x02")
    with pytest.raises(RequestError, match="TLS"):
        wire.receive(connection)
    wire.client.sendall(LARGE)  # it goes on sending, and must not be reset
    assert connection.answer(400, b"{}", b"", keep_alive=False)
    connection.linger()
    answer = b""
    while part := wire.client.recv(1000):
        answer += part
    assert b"Connection: close" in answer
    wire.client.shutdown(socket.SHUT_WR)
    gone = False
    while not gone:
        try:
            connection.discard(wire.buffer)
        except Disconnected:
            gone = True
    connection.close()


def test_a_released_connection_stays_open(wire: Wire) -> None:
    wire.worker().close_duplicate()
    connection = wire.worker()
    wire.send(post(b"1"))
    assert wire.receive(connection) is not None
    connection.close()
    assert wire.client.recv(10) == b""
