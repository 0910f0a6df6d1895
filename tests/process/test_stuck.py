"""
A worker that blocks between two requests is noticed, and its connections move.

It is ended like a handler that takes too long. If it comes back, it serves again.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.client import Connection, run_once
from tests.support.rendezvous import Rendezvous
from tests.support.server import Server
from tests.support.waiting import stop_idle, wait_gone
from tests.support.wire import init_request

from . import actions
from .control import pid, pids, wait_until

# Its workers block 20 ms after a run began. By then the answer is out, if a processor is free.
pytestmark = [pytest.mark.slow, pytest.mark.alone]

MOVED_WITHIN = 0.5
SLACK = 0.5
"""Seconds for a processor that is shared."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server("--timeout", "2", "--workers", "2") as started:
        yield started
        started.end_well()


@pytest.fixture
def alone() -> Iterator[Server]:
    with Server("--timeout", "2") as started:
        yield started
        started.end_well()


def block(server: Server, connection: Connection, how: str) -> int:
    """Let the worker of a connection block once it has answered; return its pid when it does."""
    with Rendezvous() as meet:
        process = int(connection.run({"block": how, "at": meet.path}).value("pid"))
        if how == "stop":
            stop_idle(process)
        else:
            assert meet.wait_arrival().pid == process
    return process


WAYS = ["stop", "thread", "regex", "c call", "signal handler"]


@pytest.mark.parametrize("how", [*WAYS, "task"])
def test_connections_of_a_worker_that_blocks_between_requests_move(
    server: Server, how: str
) -> None:
    server.post(actions.blocking(1, "async " if how == "task" else ""))
    wait_until(server, lambda found: len(pids(server, "serving")) == 2, "two workers")
    with ExitStack() as stack:
        kept = [stack.enter_context(Connection(server.address)) for _ in range(4)]
        for each in kept:
            each.run({})
        stuck = block(server, kept[0], how)
        began = time.monotonic()
        for number, each in enumerate(kept):
            each.send_run({"token": number})
        for number, each in enumerate(kept):
            response = each.read_response()
            assert response.value("token") == number
            assert response.value("pid") != stuck
        assert time.monotonic() - began < MOVED_WITHIN + SLACK
        for number in range(4):  # some of them were its own
            assert run_once(server.address, {"token": number}).value("token") == number
        assert wait_gone(stuck, 2 + 3 * MOVED_WITHIN + SLACK), "it was not ended"
        assert kept[0].run({"token": "after"}).value("token") == "after"
        wait_until(server, lambda found: found["deaths"], "its death")
    assert "gave no sign of life for 2 s" in server.stderr()


@pytest.mark.parametrize("how", ["stop", "regex"])
def test_init_on_a_connection_of_a_blocked_worker_is_carried_out(alone: Server, how: str) -> None:
    alone.post(actions.blocking(1))
    with Connection(alone.address) as kept, Connection(alone.address) as other:
        kept.run({})
        other.run({})
        stuck = block(alone, kept, how)
        began = time.monotonic()
        other.send_run({"token": "a"})
        kept.send(init_request(actions.plain(2)))
        assert kept.read_response().status == 200
        assert time.monotonic() - began < 1.0 + SLACK
        assert other.read_response().value("version") == 2
        assert kept.run({}).value("version") == 2
        assert wait_gone(stuck, 8.0)


def test_request_to_the_only_worker_that_blocks_is_answered_after_the_deadline(
    alone: Server,
) -> None:
    alone.post(actions.blocking(1))
    with Connection(alone.address) as kept, Connection(alone.address) as fresh:
        stuck = block(alone, kept, "stop")
        began = time.monotonic()
        kept.send_run({"token": "kept"})
        fresh.send_run({"token": "fresh"})
        for connection, token in ((kept, "kept"), (fresh, "fresh")):
            response = connection.read_response()
            assert response.value("token") == token
            assert response.value("pid") != stuck
        assert 1.0 < time.monotonic() - began < 2 + 3 * MOVED_WITHIN + SLACK


def test_worker_that_comes_back_serves_again_and_answers_nothing_twice(server: Server) -> None:
    server.post(actions.blocking(1))
    wait_until(server, lambda found: len(pids(server, "serving")) == 2, "two workers")
    with ExitStack() as stack:
        kept = [stack.enter_context(Connection(server.address)) for _ in range(6)]
        for each in kept:
            each.run({})
        for turn in range(5):
            stuck = block(server, kept[turn], "stop")
            fresh = [stack.enter_context(Connection(server.address)) for _ in range(2)]
            asked = [*kept, *fresh]
            for number, each in enumerate(asked):
                each.send_run({"token": (turn, number)})
            if turn % 2:
                wait_until(server, lambda found: pids(server, "busy"), "noticed")
            os.kill(stuck, signal.SIGCONT)
            for number, each in enumerate(asked):
                assert each.read_response().value("token") == [turn, number]
            wait_until(server, lambda found: len(pids(server, "serving")) == 2, "both serve")
            assert stuck in pids(server, "serving")
            for each in fresh:
                each.close()


def test_all_workers_blocked_at_once(server: Server) -> None:
    server.post(actions.blocking(1))
    wait_until(server, lambda found: len(pids(server, "serving")) == 2, "two workers")
    stuck = pids(server, "serving")
    with ExitStack() as stack:
        kept = [stack.enter_context(Connection(server.address)) for _ in range(6)]
        for each in kept:
            each.run({})
        for each in stuck:
            stop_idle(each)
        for number, connection in enumerate(kept):
            connection.send_run({"token": number})
        for number, connection in enumerate(kept):
            response = connection.read_response()
            assert response.value("token") == number
            assert response.value("pid") not in stuck


def test_blocked_spare_is_replaced(alone: Server) -> None:
    alone.post(actions.blocking(1))
    with Connection(alone.address) as kept, Connection(alone.address) as poster:
        kept.run({})
        poster.run({})
        stop_idle(pid(alone, "spare"))
        stuck = block(alone, kept, "stop")
        poster.send(init_request(actions.plain(2)))
        assert poster.read_response().status == 200
        assert kept.run({}).value("version") == 2
        assert wait_gone(stuck, 8.0)


def test_spare_that_blocks_before_it_loads_costs_a_second(alone: Server) -> None:
    alone.post(actions.blocking(1))
    stopped = pid(alone, "spare")
    stop_idle(stopped)
    began = time.monotonic()
    alone.post(actions.plain(2))
    assert time.monotonic() - began < 2.0 + SLACK
    assert run_once(alone.address, {}).value("version") == 2
    assert wait_gone(stopped, 5.0)


def test_blocked_spare_leaves_no_request_unanswered_for_long(alone: Server) -> None:
    alone.post(actions.blocking(1))
    with Connection(alone.address) as kept, Rendezvous() as meet:
        kept.send_run({"hold": meet.path})
        held = meet.wait_arrival()
        stop_idle(pid(alone, "spare"))
        os.kill(held.pid, signal.SIGKILL)
        response = kept.read_response()
        assert response.status == 502
        assert "SIGKILL" in str(response.error)
        assert kept.run({"token": "next"}).value("token") == "next"


def test_draining_worker_that_blocks_delays_neither_replacement_nor_stop(alone: Server) -> None:
    alone.post(actions.blocking(1))
    with Connection(alone.address) as kept, Connection(alone.address) as other:
        kept.run({})
        other.run({})
        stuck = block(alone, kept, "regex")
        alone.post(actions.plain(2))
        assert kept.run({}).value("version") == 2
        began = time.monotonic()
        alone.terminate()
        assert alone.wait(10.0) == 0
        assert time.monotonic() - began < 3.5 + SLACK
        assert wait_gone(stuck, 1.0)


@pytest.mark.parametrize("how", ["stop", "regex"])
def test_stop_does_not_wait_for_a_worker_that_blocks(alone: Server, how: str) -> None:
    alone.post(actions.blocking(1))
    with Connection(alone.address) as kept, Connection(alone.address) as other:
        kept.run({})
        other.run({})
        block(alone, kept, how)
        other.send_run({"token": "a"})
        began = time.monotonic()
        alone.terminate()
        response = other.read_response()
        assert response.status == 503
        assert alone.wait(10.0) == 0
        assert time.monotonic() - began < 2.0 + SLACK


def test_long_handler_is_not_taken_for_a_blocked_worker(alone: Server) -> None:
    alone.post(actions.blocking(1))
    with Connection(alone.address) as kept, Connection(alone.address) as other:
        other.run({})
        kept.send_run({"sleep": 3.0}, deadline=str(int(1000 * (time.time() + 30))))
        other.send_run({"token": "a"})
        assert kept.read_response().status == 200
        assert other.read_response().value("token") == "a"
