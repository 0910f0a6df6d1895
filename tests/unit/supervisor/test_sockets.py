"""The bytes that the supervisor itself writes to a client, on a real connection."""

from __future__ import annotations

import socket

from hotwhisk.ipc.scoreboard import Phase, Scoreboard
from hotwhisk.supervisor.commands import Recovery
from hotwhisk.supervisor.sockets import Sockets


def test_an_answer_for_which_there_is_no_room_ends_the_connection() -> None:
    sockets = Sockets(Scoreboard(2))
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
        number = sockets.add(server.fileno())
        sockets.send_response(number, b"answer")
        assert sockets._scoreboard.phase(number) is Phase.IDLE
        # The client would take the next answer for this one.
        read = 0
        while data := client.recv(1 << 20):
            read += len(data)
        assert read == earlier


def test_of_what_the_kernel_cannot_count_the_connection_ends() -> None:
    sockets = Sockets(Scoreboard(2))
    ours, theirs = socket.socketpair()  # it has no TCP_INFO
    with ours, theirs:
        number = sockets.add(ours.fileno())
        sockets._scoreboard.set_responding(number, 0, 10)
        assert sockets.recoveries(frozenset({number}), -1) == [(number, Recovery.CUT)]


def test_a_number_without_a_connection_is_swept_and_nothing_else() -> None:
    scoreboard = Scoreboard(3)
    sockets = Sockets(scoreboard)
    scoreboard.set_phase(2, Phase.CLOSED)  # a worker scribbles
    assert sockets.remove_closed([2], lambda _: True) == []
    assert scoreboard.phase(2) is Phase.FREE
    sockets.shutdown(2)
    assert len(sockets._free) == 3


def test_nothing_is_kept_of_a_closed_connection() -> None:
    scoreboard = Scoreboard(3)
    sockets = Sockets(scoreboard)
    for _ in range(5):  # each gets the number that was free for longest
        ours, theirs = socket.socketpair()
        with theirs:
            number = sockets.add(ours.detach())
            epoch = sockets.next_epoch(number, 1)
            assert sockets.is_current(number, epoch, 1)
            scoreboard.set_phase(number, Phase.CLOSED)
            assert sockets.remove_closed([number], lambda _: True) == [number]
            assert not sockets.is_current(number, epoch, 1)
    assert sockets._epochs == {}
