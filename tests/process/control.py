"""
Asking a running server over its control socket, and waiting until it says what is awaited.

A status is also a barrier: the supervisor is one thread, so whatever was ready before the
question is dealt with when the answer is here.
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
    """The control socket of a server."""
    return server.run_dir / f"{server.port}.sock"


def ask(server: Server, question: str, timeout: float = 10.0) -> Status:
    """One question and its answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
        end.settimeout(timeout)
        end.connect(str(path(server)))
        end.sendall(json.dumps({"version": 1, "ask": question}).encode() + b"\n")
        received = b""
        while data := end.recv(65536):
            received += data
    answer = json.loads(received)
    assert isinstance(answer, dict)
    return answer


def status(server: Server) -> Status:
    """What the server says of itself."""
    return ask(server, "status")


def pids(server: Server, state: str) -> list[int]:
    """The processes that are in a state of the lifecycle."""
    workers = status(server)["generation"]["workers"]
    return [worker["pid"] for worker in workers if worker["state"] == state]


def pid(server: Server, state: str) -> int:
    """The one process that is in this state."""
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


def connections(found: Status, process: int) -> int:
    """How many connections a process holds, by a status."""
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
    """The permissions of a file or folder."""
    return stat.S_IMODE(os.stat(place).st_mode)
