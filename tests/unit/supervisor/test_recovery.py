"""Unanswered requests of a worker that died: the scoreboard beside real TCP connections."""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
from collections.abc import Iterator

import pytest

from hotwhisk.ipc.scoreboard import ANSWER as ANSWER_AT
from hotwhisk.ipc.scoreboard import FIELDS, CloseAfter, Phase, Scoreboard
from hotwhisk.supervisor.commands import Recovery
from hotwhisk.supervisor.recovery import recovery_for
from hotwhisk.system import tcp
from hotwhisk.system.tcp import bytes_written

NUMBER = 1
ANSWER = b"a" * 100


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield the server's end and the client's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=5)
        server, _ = listener.accept()
    with client, server:
        yield server, client


@pytest.fixture
def scoreboard() -> Scoreboard:
    scoreboard = Scoreboard(3)
    scoreboard.begin_connection(NUMBER)
    return scoreboard


def recovery_of(scoreboard: Scoreboard, server: socket.socket, *, claimed: bool = True) -> Recovery:
    return recovery_for(scoreboard, NUMBER, server.fileno(), claimed=claimed)


def fill(server: socket.socket) -> int:
    """Write until the kernel takes no more; return how much it took."""
    server.setblocking(False)
    length = 0
    while True:
        try:
            length += server.send(b"x" * 65536)
        except BlockingIOError:
            return length


def drain(client: socket.socket, length: int) -> None:
    while length:
        length -= len(client.recv(min(length, 1 << 20)))


def queued(server: socket.socket) -> int:
    answer = fcntl.ioctl(server.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    return int(struct.unpack("<i", answer)[0])


def wait_acknowledged(server: socket.socket) -> None:
    while queued(server):  # the test's timeout is its deadline
        pass


Ends = tuple[socket.socket, socket.socket]


def test_bytes_are_counted_whether_they_arrived_or_not(ends: Ends) -> None:
    server, client = ends
    assert bytes_written(server.fileno()) == 0
    server.send(ANSWER)
    assert bytes_written(server.fileno()) == 100
    drain(client, 100)
    length = fill(server)
    assert queued(server)
    assert bytes_written(server.fileno()) == 100 + length
    drain(client, length)
    wait_acknowledged(server)
    assert bytes_written(server.fileno()) == 100 + length


def test_counting_leaves_the_connection_as_it_was(ends: Ends) -> None:
    server, client = ends
    bytes_written(server.fileno())
    server.send(b"still here")
    assert client.recv(100) == b"still here"


def test_an_acknowledgement_between_the_two_questions_loses_no_byte(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = ends
    rest = [fill(server)]
    length = rest[0]

    def late(descriptor: int, request: int, argument: bytes) -> bytes:
        drain(client, rest[0])
        rest[0] = 0
        wait_acknowledged(server)
        return fcntl.ioctl(descriptor, request, argument)

    monkeypatch.setattr(tcp, "ioctl", late)
    assert bytes_written(server.fileno()) == length


@pytest.mark.parametrize("client_read", [False, True])
def test_of_an_answer_nothing_was_sent(
    ends: Ends, scoreboard: Scoreboard, client_read: bool
) -> None:
    server, client = ends
    server.send(b"earlier answers")
    if client_read:
        drain(client, 15)
    scoreboard.set_running(NUMBER, 1.0, 60.0, 15)
    scoreboard.set_responding(NUMBER, 15, 100)
    assert recovery_of(scoreboard, server) is Recovery.FAIL


@pytest.mark.parametrize("length", [1, 99])
def test_of_an_answer_a_part_was_sent(ends: Ends, scoreboard: Scoreboard, length: int) -> None:
    server, client = ends
    server.send(b"earlier answers" + ANSWER[:length])
    scoreboard.set_responding(NUMBER, 15, 100)
    assert recovery_of(scoreboard, server) is Recovery.CUT
    drain(client, 15 + length)
    wait_acknowledged(server)
    assert recovery_of(scoreboard, server) is Recovery.CUT


def stream(scoreboard: Scoreboard, sent: int) -> None:
    scoreboard.set_running(NUMBER, 1.0, 60.0, sent)
    scoreboard.set_phase(NUMBER, Phase.STREAMING)


def test_of_a_stream_nothing_was_sent(ends: Ends, scoreboard: Scoreboard) -> None:
    server, _ = ends
    server.send(b"earlier answers")
    stream(scoreboard, 15)
    assert recovery_of(scoreboard, server) is Recovery.FAIL


@pytest.mark.parametrize("close_after", CloseAfter)
@pytest.mark.parametrize("answer", [0, 1, 1 << 62])
def test_a_stream_is_cut_whatever_else_its_worker_has_written(
    ends: Ends, scoreboard: Scoreboard, close_after: CloseAfter, answer: int
) -> None:
    server, client = ends
    server.send(b"earlier answers" + b"h")
    stream(scoreboard, 15)
    scoreboard.longs[NUMBER * FIELDS + ANSWER_AT] = answer
    scoreboard.set_close(NUMBER, close_after)
    assert recovery_of(scoreboard, server) is Recovery.CUT_STREAM
    drain(client, 16)
    assert recovery_of(scoreboard, server, claimed=False) is Recovery.CUT_STREAM


def test_the_whole_answer_was_sent(ends: Ends, scoreboard: Scoreboard) -> None:
    server, _ = ends
    server.send(ANSWER)
    scoreboard.set_responding(NUMBER, 0, 100)
    assert recovery_of(scoreboard, server) is Recovery.KEEP


def test_the_whole_answer_was_sent_and_the_next_request_was_read(
    ends: Ends, scoreboard: Scoreboard
) -> None:
    server, _ = ends
    server.send(ANSWER)
    scoreboard.set_close(NUMBER, CloseAfter.READ_AHEAD)
    scoreboard.set_responding(NUMBER, 0, 100)
    assert recovery_of(scoreboard, server) is Recovery.LOST


def test_the_whole_answer_was_sent_and_the_client_wants_no_more(
    ends: Ends, scoreboard: Scoreboard
) -> None:
    server, _ = ends
    server.send(ANSWER)
    scoreboard.set_close(NUMBER, CloseAfter.REQUESTED)
    scoreboard.set_responding(NUMBER, 0, 100)
    assert recovery_of(scoreboard, server) is Recovery.CLOSE


def test_half_an_answer_and_the_next_request_was_read(ends: Ends, scoreboard: Scoreboard) -> None:
    server, _ = ends
    server.send(ANSWER[:50])
    scoreboard.set_close(NUMBER, CloseAfter.READ_AHEAD)
    scoreboard.set_responding(NUMBER, 0, 100)
    assert recovery_of(scoreboard, server) is Recovery.CUT


def test_the_client_is_gone(ends: Ends, scoreboard: Scoreboard) -> None:
    server, client = ends
    server.send(ANSWER[:50])
    client.close()  # with bytes unread: a reset
    scoreboard.set_responding(NUMBER, 0, 100)
    assert recovery_of(scoreboard, server) is Recovery.CUT


@pytest.mark.parametrize(
    ("phase", "claimed", "expected"),
    [
        (Phase.IDLE, False, Recovery.KEEP),
        (Phase.IDLE, True, Recovery.LOST),
        (Phase.BUFFERED, False, Recovery.KEEP),
        (Phase.BUFFERED, True, Recovery.LOST),
        (Phase.PARKED, False, Recovery.QUEUE),
        (Phase.PARKED, True, Recovery.LOST),
        (Phase.RUNNING, False, Recovery.FAIL),
        (Phase.RUNNING, True, Recovery.FAIL),
        (Phase.INIT_PENDING, True, Recovery.LOST),
        (Phase.LINGERING, False, Recovery.CLOSE),
        (Phase.LINGERING, True, Recovery.CLOSE),
        (Phase.FREE, False, Recovery.CLOSE),
    ],
)
def test_what_the_phase_alone_says(
    ends: Ends, scoreboard: Scoreboard, phase: Phase, claimed: bool, expected: Recovery
) -> None:
    scoreboard.set_phase(NUMBER, phase)
    assert recovery_of(scoreboard, ends[0], claimed=claimed) is expected


@pytest.mark.parametrize("claimed", [True, False])
def test_an_init_that_was_read_and_never_told_of_is_lost(
    scoreboard: Scoreboard, ends: tuple[socket.socket, socket.socket], claimed: bool
) -> None:
    scoreboard.set_phase(NUMBER, Phase.INIT_PENDING)
    assert recovery_of(scoreboard, ends[0], claimed=claimed) is Recovery.LOST
