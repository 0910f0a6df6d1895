"""``hotwhisk status --watch`` in a real terminal, and the counts of a real server."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.process import control
from tests.support.actions import puppet_source
from tests.support.client import Connection, run_once
from tests.support.server import Server

pytestmark = pytest.mark.slow

TITLE = b"requests by generation"
FIRST_SCREEN = b"\x1b[?1049l"


class Watching:
    """The command in a terminal of its own."""

    def __init__(self, server: Server) -> None:
        self._terminal, end = pty.openpty()
        where = ("--port", str(server.port), "--run-dir", str(server.run_dir))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hotwhisk", "status", "--watch", *where],
            stdin=end, stdout=end, stderr=end, start_new_session=True,
        )  # fmt: skip
        os.close(end)
        self.shown = b""

    def wait_shown(self, text: bytes, times: int = 1) -> None:
        """Read until a text was shown so often; the test's timeout is the limit."""
        while self.shown.count(text) < times:
            self.shown += os.read(self._terminal, 65536)

    def wait_end(self) -> int:
        """Read to the end; return the exit status."""
        try:
            while data := os.read(self._terminal, 65536):
                self.shown += data
        except OSError:  # the terminal's other end is closed
            pass
        return self.process.wait(10)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._terminal)


@contextmanager
def watching(server: Server) -> Iterator[Watching]:
    watching = Watching(server)
    try:
        yield watching
    finally:
        watching.close()


def test_it_is_drawn_again_until_ctrl_c_and_leaves_the_last_one() -> None:
    with Server() as server:
        server.post(puppet_source(1))
        run_once(server.address, {})
        with watching(server) as command:
            command.wait_shown(TITLE, 2)
            command.process.send_signal(signal.SIGINT)
            assert command.wait_end() == 0
            left = command.shown.partition(FIRST_SCREEN)[2]
            assert TITLE in left
            assert b"Traceback" not in command.shown
        server.end_well()


def test_it_ends_with_the_server() -> None:
    with Server() as server:
        server.post(puppet_source(1))
        run_once(server.address, {})
        with watching(server) as command:
            command.wait_shown(TITLE)
            server.end_well()
            assert command.wait_end() == 0
            assert b"the server has ended" in command.shown
            assert b"Traceback" not in command.shown


def test_a_server_counts_each_kind_in_the_generation_that_answered() -> None:
    with Server("--timeout", "0.4") as server:
        run_once(server.address, {})  # there is no action yet
        server.post(puppet_source(1))
        run_once(server.address, {})
        run_once(server.address, {"do": "raise"})
        run_once(server.address, {"do": "kill"})
        server.post(puppet_source(2))
        with Connection(server.address) as connection:
            connection.run({})
            connection.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.read_response().status == 404
        rows = {row["generation"]: row for row in control.status(server)["counts"]}
        kinds = ("ok", "error", "died", "timed_out", "refused")
        assert {number: [row[kind] for kind in kinds] for number, row in rows.items()} == {
            2: [1, 0, 0, 0, 1],
            1: [1, 1, 1, 0, 0],
            0: [0, 0, 0, 0, 1],
        }
        assert rows[1]["busy"] > 0
        assert rows[1]["bytes_in"] > 100
        assert rows[1]["bytes_out"] > 100
        assert sum(count for _, count in rows[1]["durations"]) == 2
        assert rows[1]["p50_ms"] <= rows[1]["p95_ms"] <= rows[1]["p99_ms"]
        shown = control.command(server, "status")
        assert "requests by generation" in shown.stdout
        server.terminate()
        assert server.wait(10.0) == 0
