"""
Signals that mean nothing to a server: the supervisor ignores them.

Its workers have them as any Python process has.
"""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys

import pytest

from tests.support import tree
from tests.support.client import Connection, run_once
from tests.support.rendezvous import Rendezvous
from tests.support.server import Server
from tests.support.waiting import wait_gone

from . import actions, control

pytestmark = pytest.mark.slow

ENDING = {
    signal.SIGTERM, signal.SIGINT, signal.SIGQUIT,
    signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS,
    signal.SIGTRAP,
}  # fmt: skip
"""Signals that end the server, by docs/operating.md."""

STRAY = [
    number for number in range(1, 65) if number not in {*ENDING, signal.SIGKILL, signal.SIGSTOP}
]

DISPOSITIONS = """
import subprocess, sys
ASK = "print(*[line for line in open('/proc/self/status') if line.startswith('Sig')])"

def main(event):
    with open("/proc/self/status") as file:
        own = [line.split() for line in file if line.startswith("Sig")]
    below = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True).stdout
    return {"own": dict(own), "below": dict(line.split() for line in below.splitlines() if line)}
"""


def test_a_signal_that_means_nothing_loses_nothing() -> None:
    with Server("--workers", "2") as server:
        server.post(actions.plain(1))
        for number in STRAY:
            with Rendezvous() as meet, Connection(server.address) as runner:
                runner.send_run({"hold": meet.path})
                held = meet.wait_arrival()
                for _ in range(3):
                    os.kill(server.pid, number)
                assert run_once(server.address, {}).value("version") == 1, number
                held.release()
                assert runner.read_response().value("version") == 1, number
        found = control.status(server)
        assert found["pid"] == server.pid
        assert not found["deaths"]


def test_a_storm_of_signals_loses_nothing(server: Server) -> None:
    server.post(actions.plain(1))
    with Connection(server.address) as kept:
        for turn in range(300):
            for number in STRAY:
                os.kill(server.pid, number)
            assert kept.run({}).value("version") == 1
            if turn % 10 == 0:
                assert run_once(server.address, {}).value("version") == 1
    server.post(actions.plain(2))
    assert run_once(server.address, {}).value("version") == 2
    assert not control.status(server)["deaths"]


def test_workers_and_their_children_have_the_signals_of_a_plain_python(server: Server) -> None:
    server.post(DISPOSITIONS)
    found = run_once(server.address, {}).json()
    plain = subprocess.run(
        [sys.executable, "-c", "print(open('/proc/self/status').read())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    ignored = next(line.split()[1] for line in plain.splitlines() if line.startswith("SigIgn"))
    # The signals that the server itself handles are never ignored in a worker, as under nohup they
    # would be.
    obeyed = sum(1 << number - 1 for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT))
    expected = f"{int(ignored, 16) & ~obeyed:016x}"
    assert found["own"]["SigIgn:"] == expected
    assert found["own"]["SigBlk:"] == "0" * 16
    # subprocess restores SIGPIPE and SIGXFSZ before it starts a program, and Python ignores both.
    assert found["below"]["SigIgn:"] == expected
    assert found["below"]["SigBlk:"] == "0" * 16


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGALRM", "SIGPROF", "SIGRTMIN"])
def test_a_signal_ends_a_worker_as_it_ends_any_python(server: Server, name: str) -> None:
    server.post(actions.plain(1))
    with Connection(server.address) as kept:
        pid = kept.run({}).value("pid")
        assert isinstance(pid, int)
        os.kill(pid, getattr(signal, name))
        assert wait_gone(pid, 10.0)
        after = kept.run({})
        assert after.value("version") == 1
        assert after.value("pid") != pid


def test_a_signal_for_the_c_library_is_ignored_and_left_to_workers(server: Server) -> None:
    server.post(
        "import threading\ndef main(event):\n"
        "    ended = threading.Event()\n"
        "    thread = threading.Thread(target=ended.set)\n"
        "    thread.start()\n    thread.join()\n    return {'ended': ended.is_set()}\n"
    )
    for number in (32, 33):
        os.kill(server.pid, number)
    assert run_once(server.address, {}).value("ended") is True


def test_a_server_in_a_terminal_is_suspended_by_ctrl_z(server: Server) -> None:
    """And one without a terminal is not: that is among the signals above."""
    ours, theirs = pty.openpty()
    program = (
        "import os, sys\n"
        "from hotwhisk.system.signals import Dispositions\n"
        "Dispositions().ignore()\n"
        "with open('/proc/self/status') as file:\n"
        "    ignored = [line.split()[1] for line in file if line.startswith('SigIgn')]\n"
        "print(int(ignored[0], 16) >> 19 & 1)\n"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            stdin=theirs,
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout) == 0
    finally:
        os.close(ours)
        os.close(theirs)
    assert tree.stat(server.pid)


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGRTMIN])
def test_a_signal_at_the_start_waits_and_is_ignored(number: int) -> None:
    program = (
        "import os, sys\n"
        "from hotwhisk.cli import serve\n"
        "open_port = serve._listener\n"
        "def open_and_signal(*arguments):\n"
        "    found = open_port(*arguments)\n"
        f"    os.kill(os.getpid(), {int(number)})\n"
        "    return found\n"
        "serve._listener = open_and_signal\n"
        "from hotwhisk.__main__ import main\n"
        "sys.argv = ['hotwhisk', 'serve', '--run-dir', 'run', *sys.argv[1:]]\n"
        "sys.exit(main())\n"
    )
    with Server(command=(sys.executable, "-c", program)) as server:
        server.post(actions.plain(1))
        assert run_once(server.address, {}).value("version") == 1
