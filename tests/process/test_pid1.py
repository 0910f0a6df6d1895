"""
Run the server as process 1, as in a container: the first process of a pid namespace of its own.

unshare(1) makes the namespace. If that is not permitted, these tests fail and say so.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support import tree
from tests.support.client import Connection, run_once
from tests.support.rendezvous import Rendezvous
from tests.support.server import _SHIM, HOTWHISK, Server
from tests.support.waiting import wait_few, wait_gone

from . import actions, control

pytestmark = pytest.mark.slow

NAMESPACE = ("unshare", *(() if os.getuid() == 0 else ("--user", "--map-root-user")))
NAMESPACE = (*NAMESPACE, "--fork", "--pid", "--mount-proc", "--kill-child")

# Starts a process that the server does not know. It has not the worker's tag and name, and its
# parent ends, so process 1 gets it.
STRANGER = """
import os, socket, sys
if os.fork():
    os._exit(0)
os.setsid()
end = socket.socket(socket.AF_UNIX)
end.connect(sys.argv[1])
end.sendall(str(os.getpid()).encode())
end.recv(1)
"""

LEAVES_STRANGER = (
    actions.plain(1)
    + f"""
import subprocess
STRANGER = {STRANGER!r}
plain = main
def main(event):
    if "leave" in event:
        command = [{sys.executable!r}, "-c", STRANGER, event["leave"]]
        subprocess.run(command, env={{}}, check=True)
    return plain(event)
"""
)


class InNamespace(Server):
    """A server behind another command, with its own folder nevertheless."""

    def _environment(self) -> dict[str, str]:
        return super()._environment() | {"HOTWHISK_RUN_DIR": str(self.run_dir)}


def permitted() -> None:
    if shutil.which("unshare") is None:
        pytest.fail("unshare (util-linux) is needed to make a pid namespace")
    tried = subprocess.run([*NAMESPACE, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.fail(f"a pid namespace is not permitted here: {tried.stderr.strip()}")


@pytest.fixture
def server() -> Iterator[Server]:
    """``server.pid`` is unshare's; the server is its only child."""
    permitted()
    # The shim of `Server` becomes unshare; a second one learns its own pid inside.
    inner = (sys.executable, "-I", "-S", "-c", _SHIM, "3", "0", *HOTWHISK)
    with InNamespace(command=(*NAMESPACE, *inner)) as started:
        yield started
        if started.process.poll() is None:
            os.kill(first(started), signal.SIGTERM)
        assert started.wait(10.0) == 0, started.stderr()
        assert not wait_few(started.left, 0, 5.0)


def first(server: Server) -> int:
    """Return the pid, seen from outside, of the namespace's process 1."""
    (pid,) = tree.children(server.pid)
    return pid


def zombies(pid: int) -> list[int]:
    return [child for child in tree.children(pid) if tree.is_zombie(child)]


def settle(server: Server) -> None:
    """
    Wait for two turns of the supervisor's loop: the first may be under way when the
    signal comes.
    """
    for _ in range(2):
        control.status(server)


def test_serves_replaces_and_survives(server: Server) -> None:
    assert control.status(server)["pid"] == 1
    for version in (1, 2):
        server.post(actions.plain(version))
        assert run_once(server.address, {}).value("version") == version
    with Rendezvous() as meet, Connection(server.address) as runner:
        runner.send_run({"hold": meet.path})
        worker = outside(server, meet.wait_arrival().pid)
        os.kill(worker, signal.SIGKILL)
        assert runner.read_response().status == 502
        assert runner.run({}).value("version") == 2
    settle(server)
    assert not zombies(first(server))


def outside(server: Server, inside: int) -> int:
    """Return the pid that a process of the namespace has outside of it."""
    for pid in tree.children(first(server)):
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            (names,) = (line.split()[1:] for line in file if line.startswith("NSpid:"))
        if names == [str(pid), str(inside)]:
            return pid
    raise AssertionError(f"process 1 has no child {inside}")


def test_adopts_and_reaps_what_an_action_left(server: Server) -> None:
    server.post(LEAVES_STRANGER)
    settle(server)  # the next spare is forked after the answer
    one = first(server)
    before = set(tree.children(one))
    with Rendezvous() as meet:
        assert run_once(server.address, {"leave": meet.path}).status == 200
        left = meet.wait_arrival()
        (adopted,) = set(tree.children(one)) - before
        left.release()
        assert left.wait_gone(10.0)
        assert wait_gone(adopted, 10.0)
    settle(server)
    assert set(tree.children(one)) == before
    assert run_once(server.address, {}).value("version") == 1


def test_adopts_and_spares_what_came_from_outside(server: Server) -> None:
    """As by docker exec: it is not a worker's, so it outlives them; when it ends it is reaped."""
    server.post(actions.plain(1))
    settle(server)  # the next spare is forked after the answer
    one = first(server)
    before = set(tree.children(one))
    with Rendezvous() as meet:
        subprocess.run(
            ["nsenter", "--target", str(one), "--pid", sys.executable, "-c", STRANGER, meet.path],
            check=True,
            timeout=10,
        )
        stranger = meet.wait_arrival()
        (adopted,) = set(tree.children(one)) - before
        with Connection(server.address) as runner:
            runner.send_run({"hold": meet.path})
            worker = outside(server, meet.wait_arrival().pid)
            os.kill(worker, signal.SIGKILL)
            assert runner.read_response().status == 502
        server.post(actions.plain(2))
        assert (tree.stat(adopted) or "X")[0] == "S"
        stranger.release()
        assert wait_gone(adopted, 10.0)
    settle(server)
    assert adopted not in tree.children(one)
    assert not zombies(one)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stops_when_told(server: Server, number: signal.Signals) -> None:
    server.post(actions.plain(1))
    with Rendezvous() as meet, Connection(server.address) as runner:
        runner.send_run({"hold": meet.path})
        held = meet.wait_arrival()
        os.kill(first(server), number)
        held.release()
        assert runner.read_response().value("version") == 1
        assert server.wait(10.0) == 0
