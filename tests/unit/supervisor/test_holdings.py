"""
What the supervisor itself writes to a client, on a real connection.
"""

from __future__ import annotations

import socket

from hotwhisk.ledger import Ledger, Phase
from hotwhisk.supervisor.effects import Debt
from hotwhisk.supervisor.holdings import Holdings


def test_an_answer_for_which_there_is_no_room_ends_the_connection() -> None:
    holdings = Holdings(Ledger(2))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=5)
        server, _ = listener.accept()
    with client, server:
        server.setblocking(False)
        earlier = 0
        try:
            while True:
                earlier += server.send(b"x" * 65536)
        except BlockingIOError:
            pass
        number = holdings.admit(server.fileno())
        holdings.write(number, b"answer")
        assert holdings._ledger.phase(number) is Phase.IDLE
        # The next answer would be taken for this one.
        read = 0
        while data := client.recv(1 << 20):
            read += len(data)
        assert read == earlier


def test_of_what_the_kernel_cannot_count_the_connection_ends() -> None:
    holdings = Holdings(Ledger(2))
    ours, theirs = socket.socketpair()  # it has no TCP_INFO
    with ours, theirs:
        number = holdings.admit(ours.fileno())
        holdings._ledger.answering(number, 0, 10)
        assert holdings.debts(frozenset({number}), -1) == [(number, Debt.BROKEN)]


def test_a_number_without_a_connection_is_swept_and_nothing_else() -> None:
    ledger = Ledger(3)
    holdings = Holdings(ledger)
    ledger.set_phase(2, Phase.CLOSED)  # a worker scribbles
    assert holdings.sweep(lambda _: True) == []
    assert ledger.phase(2) is Phase.FREE
    holdings.shut(2)
    assert len(holdings._free) == 3
