"""
Read the status of a running server by its control socket, and wait until it has some value.

A status is also a barrier: the supervisor is one thread, so every event that was ready before the
question has been handled when the answer is here.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.server import Server

Status = dict[str, Any]


def path(server: Server) -> Path:
    """Return the path of a server's control socket."""
    return server.run_dir / f"{server.port}.sock"


def ask(server: Server, question: str, timeout: float = 10.0, **more: object) -> Status:
    """Send one question, with ``more`` members; return its answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
        end.settimeout(timeout)
        end.connect(str(path(server)))
        end.sendall(json.dumps({"version": 1, "ask": question, **more}).encode() + b"\n")
        received = b""
        while data := end.recv(65536):
            received += data
    answer = json.loads(received)
    assert isinstance(answer, dict)
    return answer


def status(server: Server) -> Status:
    """Return the server's status."""
    return ask(server, "status")


def pids(server: Server, state: str) -> list[int]:
    """Return the processes that are in a state of the lifecycle; a spare may have none yet."""
    workers = status(server)["generation"]["workers"]
    return [each["pid"] for each in workers if each["state"] == state and each["pid"]]


def pid(server: Server, state: str) -> int:
    """Return the only process that is in this state."""
    (found,) = pids(server, state)
    return found


def wait_until(
    server: Server, truth: Callable[[Status], object], what: str, timeout: float = 10.0
) -> Status:
    """Ask until ``truth`` holds of the answer; each turn is one turn of the supervisor's loop."""
    deadline = time.monotonic() + timeout
    while not truth(found := status(server)):
        assert time.monotonic() < deadline, f"{what}: not within {timeout} s: {found}"
    return found


def processes(server: Server) -> int:
    """
    Wait until each worker has a process; return how many processes there are.

    A server that stands in for ours has no status, and starts no process later.
    """
    if path(server).exists():
        wait_until(
            server,
            lambda found: all(each["pid"] for each in found["generation"]["workers"]),
            "a process for each worker",
        )
    return len(server.left())


def connections(found: Status, process: int) -> int:
    """Return how many connections a process holds, by a status."""
    workers = found["generation"]["workers"]
    return sum(worker["connections"] for worker in workers if worker["pid"] == process)


def command(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of hotwhisk that asks this server."""
    where = ("--port", str(server.port), "--run-dir", str(server.run_dir))
    return subprocess.run(
        [sys.executable, "-m", "hotwhisk", *words, *where],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def mode(place: Path) -> int:
    """Return the permissions of a file or folder."""
    return stat.S_IMODE(os.stat(place).st_mode)
