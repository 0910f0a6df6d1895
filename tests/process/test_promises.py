"""The four promises of the README, each on a real server under load and faults."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.prove.crashloop import roll_back_loop
from tests.prove.death import die_half_sent, die_with_waiting
from tests.prove.faults import survive_faults
from tests.prove.moved_connections import move_connections, move_from_stuck_handler
from tests.prove.outcome import Outcome, ask
from tests.prove.replacement import replace_under_load
from tests.prove.stop import answer_before_stop
from tests.prove.stuck import replace_stuck
from tests.prove.versions import refuse_bad
from tests.support.actions import version_source
from tests.support.client import Connection, Refused, init_once
from tests.support.server import Server
from tests.support.wire import ClientError

from . import control

pytestmark = pytest.mark.slow

NO_ROLL_BACK = ("--crash-count", "100000")


class Visitor(threading.Thread):
    """Opens one connection after the other, and sends a request on each, until stopped."""

    def __init__(self, server: Server) -> None:
        super().__init__(name="visitor", daemon=True)
        self.server = server
        self.visits = 0
        self.refused: list[str] = []
        self.lost: list[str] = []
        self.enough = threading.Event()

    def run(self) -> None:
        while not self.enough.is_set():
            self.visits += 1
            try:
                with Connection(self.server.address, timeout=20.0) as connection:
                    connection.run({"token": "visitor"})
            except Refused as error:
                self.refused.append(str(error))
            except ClientError as error:
                self.lost.append(f"{type(error).__name__}: {error}")


@contextmanager
def visited(server: Server) -> Iterator[Visitor]:
    """Run a visitor during the block."""
    visitor = Visitor(server)
    visitor.start()
    try:
        yield visitor
    finally:
        visitor.enough.set()
        visitor.join(30.0)
    assert not visitor.is_alive()
    assert visitor.visits > 10


def hold(*outcomes: Outcome) -> None:
    problems = [f"{each.done}: {problem}" for each in outcomes for problem in each.problems]
    assert not problems, "\n".join(problems)


def test_no_refused_connection() -> None:
    with Server() as server, visited(server) as visitor:
        hold(replace_under_load(server, replacements=15))
        hold(survive_faults(server, rounds=1, only=("kill", "segfault", "exit", "closerange")))
        hold(roll_back_loop(server, rounds=1))
        with Connection(server.address) as kept:  # the server itself is held up: connections wait
            kept.run({})
            os.kill(server.pid, signal.SIGSTOP)
            try:
                waiting = [Connection(server.address) for _ in range(50)]
            finally:
                os.kill(server.pid, signal.SIGCONT)
            for connection in waiting:
                with connection:
                    assert connection.run({}).status == 200
        visitor.enough.set()
        visitor.join(30.0)
        assert not visitor.refused
        assert not visitor.lost


def test_no_lost_request() -> None:
    with Server(*NO_ROLL_BACK) as server:
        with visited(server) as visitor:
            hold(replace_under_load(server, replacements=10))
            hold(survive_faults(server, rounds=1, spins=1))
            hold(die_with_waiting(server, rounds=2))
            hold(die_half_sent(server, rounds=2))
            hold(replace_stuck(server, rounds=1, deadline=1.5))
        assert not visitor.lost
        hold(answer_before_stop(server))


def test_no_stale_answer() -> None:
    with Server() as server:
        hold(replace_under_load(server, replacements=15))
        hold(move_connections(server, rounds=2, each=2))
        hold(move_from_stuck_handler(server, rounds=2))
    with Server("--workers", "3") as server:
        hold(replace_under_load(server, replacements=15))
        hold(move_connections(server, rounds=2, each=2))


def test_no_bad_version_in_charge() -> None:
    with Server("--init-timeout", "2") as server:
        with visited(server) as visitor:
            hold(refuse_bad(server, bomb=150))
            before = control.status(server)["generation"]["number"]
            refused = [init_once(server.address, f"raise ValueError({n})\n") for n in range(20)]
            assert [response.status for response in refused] == [502] * 20
            assert ask(server).value("version") == 2
            assert control.status(server)["generation"]["number"] == before
            hold(roll_back_loop(server, rounds=1))
        assert not visitor.lost
        assert init_once(server.address, version_source(7)).status == 200
        assert ask(server).value("version") == 7
