"""
What a dead worker owed: the ledger beside real TCP connections, whose bytes the kernel counts.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
from collections.abc import Iterator

import pytest

from hotwhisk.ledger import Last, Ledger, Phase
from hotwhisk.supervisor.debts import debt
from hotwhisk.supervisor.effects import Debt
from hotwhisk.system import tcp
from hotwhisk.system.tcp import bytes_written

NUMBER = 1
ANSWER = b"a" * 100


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """
    The server's end and the client's.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=5)
        server, _ = listener.accept()
    with client, server:
        yield server, client


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger(3)
    ledger.open(NUMBER)
    return ledger


def owed(ledger: Ledger, server: socket.socket, *, claimed: bool = True) -> Debt:
    return debt(ledger, NUMBER, server.fileno(), claimed=claimed)


def fill(server: socket.socket) -> int:
    """
    Write until the kernel takes no more; how much it took.
    """
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

    class Late:
        @staticmethod
        def ioctl(descriptor: int, request: int, argument: bytes) -> bytes:
            drain(client, rest[0])
            rest[0] = 0
            wait_acknowledged(server)
            return fcntl.ioctl(descriptor, request, argument)

    monkeypatch.setattr(tcp, "fcntl", Late)
    assert bytes_written(server.fileno()) == length


@pytest.mark.parametrize("client_read", [False, True])
def test_of_an_answer_nothing_was_sent(ends: Ends, ledger: Ledger, client_read: bool) -> None:
    server, client = ends
    server.send(b"earlier answers")
    if client_read:
        drain(client, 15)
    ledger.handling(NUMBER, 1.0, 60.0, 15)
    ledger.answering(NUMBER, 15, 100)
    assert owed(ledger, server) is Debt.ANSWER


@pytest.mark.parametrize("length", [1, 99])
def test_of_an_answer_a_part_was_sent(ends: Ends, ledger: Ledger, length: int) -> None:
    server, client = ends
    server.send(b"earlier answers" + ANSWER[:length])
    ledger.answering(NUMBER, 15, 100)
    assert owed(ledger, server) is Debt.BROKEN
    drain(client, 15 + length)
    wait_acknowledged(server)
    assert owed(ledger, server) is Debt.BROKEN


def test_the_whole_answer_was_sent(ends: Ends, ledger: Ledger) -> None:
    server, _ = ends
    server.send(ANSWER)
    ledger.answering(NUMBER, 0, 100)
    assert owed(ledger, server) is Debt.NOTHING


def test_the_whole_answer_was_sent_and_the_next_request_was_read(
    ends: Ends, ledger: Ledger
) -> None:
    server, _ = ends
    server.send(ANSWER)
    ledger.set_last(NUMBER, Last.READ_ON)
    ledger.answering(NUMBER, 0, 100)
    assert owed(ledger, server) is Debt.LOST


def test_the_whole_answer_was_sent_and_the_client_wants_no_more(ends: Ends, ledger: Ledger) -> None:
    server, _ = ends
    server.send(ANSWER)
    ledger.set_last(NUMBER, Last.ASKED)
    ledger.answering(NUMBER, 0, 100)
    assert owed(ledger, server) is Debt.BROKEN


def test_half_an_answer_and_the_next_request_was_read(ends: Ends, ledger: Ledger) -> None:
    server, _ = ends
    server.send(ANSWER[:50])
    ledger.set_last(NUMBER, Last.READ_ON)
    ledger.answering(NUMBER, 0, 100)
    assert owed(ledger, server) is Debt.BROKEN


def test_the_client_is_gone(ends: Ends, ledger: Ledger) -> None:
    server, client = ends
    server.send(ANSWER[:50])
    client.close()  # with bytes unread: a reset
    ledger.answering(NUMBER, 0, 100)
    assert owed(ledger, server) is Debt.BROKEN


@pytest.mark.parametrize(
    ("phase", "claimed", "expected"),
    [
        (Phase.IDLE, False, Debt.NOTHING),
        (Phase.IDLE, True, Debt.LOST),
        (Phase.WAITING, False, Debt.NOTHING),
        (Phase.WAITING, True, Debt.LOST),
        (Phase.PARKED, False, Debt.PARKED),
        (Phase.PARKED, True, Debt.LOST),
        (Phase.HANDLING, False, Debt.ANSWER),
        (Phase.HANDLING, True, Debt.ANSWER),
        (Phase.LENT, True, Debt.LOST),
        (Phase.LINGERING, False, Debt.BROKEN),
        (Phase.LINGERING, True, Debt.BROKEN),
        (Phase.FREE, False, Debt.BROKEN),
    ],
)
def test_what_the_phase_alone_says(
    ends: Ends, ledger: Ledger, phase: Phase, claimed: bool, expected: Debt
) -> None:
    ledger.set_phase(NUMBER, phase)
    assert owed(ledger, ends[0], claimed=claimed) is expected


@pytest.mark.parametrize("claimed", [True, False])
def test_an_init_that_was_read_and_never_told_of_is_lost(
    ledger: Ledger, ends: tuple[socket.socket, socket.socket], claimed: bool
) -> None:
    ledger.set_phase(NUMBER, Phase.LENT)
    assert owed(ledger, ends[0], claimed=claimed) is Debt.LOST
