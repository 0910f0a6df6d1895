"""No client waits for ever behind others, and no unread message stops the server."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.support import tree
from tests.support.actions import version_source
from tests.support.client import Connection, init_once, run_once
from tests.support.server import Server
from tests.support.waiting import stop

from . import control

MANY = 4000  # more than the channel of one worker takes
BUSY = """\
import time

def main(event):
    end = time.perf_counter() + 0.005
    while time.perf_counter() < end:
        pass
    return {"done": True}
"""


def test_a_kept_connection_has_its_turn_between_arrivals() -> None:
    with Server() as server, Connection(server.address, timeout=10.0) as kept:
        server.post(BUSY)
        enough = threading.Event()

        def arrive() -> None:
            while not enough.is_set():
                run_once(server.address, {})

        arrivals = [threading.Thread(target=arrive) for _ in range(4)]
        for thread in arrivals:
            thread.start()
        try:
            for _ in range(20):
                assert kept.run({}).value("done") is True
        finally:
            enough.set()
            for thread in arrivals:
                thread.join()


LONG = """\
import time

def main(event):
    time.sleep(0.4)
    return {"version": 1}
"""


@pytest.mark.slow
def test_each_client_and_a_replacement_have_their_turn_beside_long_runs() -> None:
    """Runs that are this long have the other connections recalled, again and again."""
    with Server() as server, ExitStack() as held:
        server.post(LONG)
        kept = [held.enter_context(Connection(server.address)) for _ in range(5)]
        turns = [0] * len(kept)
        enough = threading.Event()

        def call(client: int) -> None:
            while not enough.is_set():
                assert kept[client].run({}).status == 200
                turns[client] += 1

        threads = [threading.Thread(target=call, args=(client,)) for client in range(len(kept))]
        for thread in threads:
            thread.start()
        try:
            with Connection(server.address, timeout=8.0) as late:  # it has the highest number
                assert late.run({}).value("version") == 1
                assert late.init(version_source(2)).status == 200
        finally:
            enough.set()
            for thread in threads:
                thread.join()
    assert all(turns), turns


@pytest.mark.slow
def test_a_worker_that_is_slow_to_listen_hears_everything(server: Server) -> None:
    server.post(version_source(1))
    worker = control.pid(server, "serving")
    control.wait_until(server, lambda found: found["connections"] == 0, "that of the post gone")
    with ExitStack() as held:
        stop(worker)
        try:
            clients = [held.enter_context(Connection(server.address)) for _ in range(MANY)]
            # They are silent for now: a connection that has sent something would move to another
            # worker.
            control.wait_until(
                server, lambda found: control.connections(found, worker) == MANY, "all accepted"
            )
            # One for each connection; what waits behind a full channel needs no other.
            assert MANY <= len(tree.descriptors(server.pid)) < MANY + 100
        finally:
            os.kill(worker, signal.SIGCONT)
        for token, client in enumerate(clients):
            client.send_run({"token": token})
        for token, client in enumerate(clients):
            assert client.read_response().value("token") == token


def test_a_log_that_cannot_be_written_costs_its_lines_only() -> None:
    serve = f"exec {shlex.quote(sys.executable)} -m hotwhisk serve 2>/dev/full"
    with Server(command=["sh", "-c", serve]) as server:
        for number in (1, 2, 3):
            assert init_once(server.address, version_source(number)).status == 200
            assert run_once(server.address, {}).value("version") == number


def test_an_unread_log_costs_its_lines_only(tmp_path: Path) -> None:
    log = tmp_path / "log"
    os.mkfifo(log)
    serve = f"exec {shlex.quote(sys.executable)} -m hotwhisk serve 2<>{shlex.quote(str(log))}"
    with Server(command=["sh", "-c", serve]) as server:
        fill(log)
        for number in (1, 2, 3):
            assert init_once(server.address, version_source(number)).status == 200
            assert run_once(server.address, {}).value("version") == number


def fill(pipe: Path) -> None:
    """Write into a pipe until there is no room, not even for a byte."""
    end = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    try:
        for size in (4096, 1):
            with suppress(BlockingIOError):
                while True:
                    os.write(end, bytes(size))
    finally:
        os.close(end)
