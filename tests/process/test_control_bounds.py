"""The control socket has limits: connections, time, and the size of a question."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from hotwhisk.server.questions import LONGEST, MOST_OPEN, TIME_LIMIT
from tests.support import tree
from tests.support.client import Connection, run_once
from tests.support.server import Server

from . import actions, control

pytestmark = pytest.mark.slow

MANY = 260


def connect(server: Server, stack: ExitStack) -> socket.socket:
    end = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    end.settimeout(10.0)
    end.connect(str(control.path(server)))
    return end


def busy(server: Server) -> float:
    """Return the seconds of processor time that the supervisor has used."""
    fields = tree.stat(server.pid)
    assert fields
    return (int(fields[11]) + int(fields[12])) / tree.TICKS


def test_silent_connections_do_not_block_others() -> None:
    with Server(nofile=256) as server, ExitStack() as stack:
        server.post(actions.plain(1))
        for _ in range(MANY):
            connect(server, stack)
        before = busy(server)
        with Connection(server.address) as kept:
            for _ in range(20):
                assert run_once(server.address, {}).value("version") == 1
                assert kept.run({}).value("version") == 1
                assert control.status(server)["generation"]["number"] == 1
        server.post(actions.plain(2))
        assert run_once(server.address, {}).value("version") == 2
        assert len(tree.descriptors(server.pid)) < 64
        assert busy(server) - before < 2.0


def test_a_silent_connection_is_closed_at_its_time_limit(server: Server) -> None:
    with ExitStack() as stack:
        end = connect(server, stack)
        end.settimeout(TIME_LIMIT + 5.0)
        assert end.recv(1) == b""


def test_one_more_connection_closes_the_oldest(server: Server) -> None:
    with ExitStack() as stack:
        ends = [connect(server, stack) for _ in range(MOST_OPEN + 1)]
        assert ends[0].recv(1) == b""
        assert control.status(server)["pid"] == server.pid
        ends[-1].sendall(b'{"ask":"status"}\n')
        assert ends[-1].recv(1) == b"{"


def test_a_question_may_come_in_parts(server: Server) -> None:
    with ExitStack() as stack:
        end = connect(server, stack)
        for byte in b'{"ask":"sta':
            end.sendall(bytes([byte]))
        assert control.status(server)["pid"] == server.pid
        end.sendall(b'tus"}\n')
        assert end.recv(1) == b"{"


def test_an_endless_question_is_refused(server: Server) -> None:
    with ExitStack() as stack:
        end = connect(server, stack)
        end.sendall(b"x" * LONGEST)
        assert b"ask one of" in end.recv(4096)


def test_who_asks_and_leaves_costs_nothing(server: Server) -> None:
    server.post(actions.plain(1))
    control.status(server)  # the next spare is forked after the answer
    before = len(tree.descriptors(server.pid))
    for turn in range(100):
        with ExitStack() as stack:
            end = connect(server, stack)
            if turn % 2:
                end.sendall(b'{"ask":"status"}\n')
    control.status(server)
    assert len(tree.descriptors(server.pid)) <= before + 1
