"""The process that forks servers: what it starts, what it ends, and what happens without it."""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import DEVNULL

import pytest

from hotwhisk.errors import StartError
from hotwhisk.gateway.runtimes.forked_server import ForkedServer
from hotwhisk.gateway.runtimes.launcher import Launched, Launcher
from hotwhisk.gateway.runtimes.memory_limits import MemoryLimit, MemoryLimits
from hotwhisk.platform import Action, Invoker, Limits
from tests.support import tree
from tests.support.waiting import stop, wait_gone

pytestmark = pytest.mark.slow

ENVIRON = {"PATH": os.defpath, "PROXY_ALLOW_REINIT": "1", "SHOWN": "yes"}
SHOW = "import os\ndef main(args):\n    return dict(os.environ)\n"
LEAVE = """
import os, subprocess
def main(args):
    daemon = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    return {"daemon": daemon.pid, "worker": os.getpid()}
"""
DEADLINE = 10.0


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    started = Launcher(str(tmp_path / "run"), ENVIRON)
    yield started
    started.close()


@pytest.fixture
def server(launcher: Launcher) -> Iterator[ForkedServer]:
    made = ForkedServer(launcher, MemoryLimits())
    made.prepare(Limits(), "guest/hello")
    yield made
    made.stop()


def result(server: ForkedServer, source: str) -> dict[str, int]:
    response = Invoker().invoke(server, Action("hello", source))["response"]
    assert isinstance(response, dict)
    assert response["success"], response
    found: dict[str, int] = response["result"]
    return found


def launch(launcher: Launcher) -> Launched:
    with socket.create_server(("127.0.0.1", 0)) as listener, open(os.devnull, "w") as null:
        return launcher.start(
            "token",
            1,
            MemoryLimit(),
            launcher.make_folder(),
            [null.fileno(), null.fileno(), listener.fileno()],
        )


def wait_end(pidfd: int) -> None:
    assert select.select([pidfd], [], [], DEADLINE)[0], "the process lives on"
    os.close(pidfd)


def test_an_action_sees_the_environment_that_was_given(server: ForkedServer) -> None:
    seen = result(server, SHOW)
    assert seen["SHOWN"] == "yes"
    assert "HOME" not in seen


def test_what_a_killed_server_leaves_is_ended(server: ForkedServer) -> None:
    ends = [os.pidfd_open(pid) for pid in result(server, LEAVE).values()]
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    for end in ends:
        wait_end(end)


def test_a_stopped_server_leaves_nothing(server: ForkedServer) -> None:
    ends = [os.pidfd_open(pid) for pid in result(server, LEAVE).values()]
    server.stop()
    for end in ends:
        wait_end(end)
    assert result(server, SHOW)["SHOWN"] == "yes"


def test_servers_end_with_the_launcher_and_another_one_is_started(launcher: Launcher) -> None:
    first = launch(launcher)
    os.kill(tree.processes()[first.pid], signal.SIGKILL)
    wait_end(first.pidfd)
    second = launch(launcher)
    assert not select.select([second.pidfd], [], [], 0)[0]
    os.close(second.pidfd)


def test_a_closed_launcher_ends_its_servers_and_refuses(launcher: Launcher) -> None:
    started = launch(launcher)
    launcher.close()
    wait_end(started.pidfd)
    with pytest.raises(StartError, match="the gateway is ending"):
        launch(launcher)


def test_a_server_that_ended_leaves_no_file(server: ForkedServer, tmp_path: Path) -> None:
    result(server, SHOW)
    assert len(list((tmp_path / "run").iterdir())) == 2
    server.stop()
    assert [each.name for each in (tmp_path / "run").iterdir()] == ["empty"]


def test_a_stopped_launcher_goes_on_with_its_servers(launcher: Launcher) -> None:
    first = launch(launcher)
    stop(tree.processes()[first.pid])
    second = launch(launcher)
    assert not first.ended
    for each in (first, second):
        each.end(MemoryLimit())


def test_a_launcher_that_stays_stopped_is_killed_and_started_again(launcher: Launcher) -> None:
    again = "import os, sys\nwhile True: os.kill(int(sys.argv[1]), 19)"
    stopped = launcher._process
    with subprocess.Popen([sys.executable, "-c", again, str(stopped.pid)], stderr=DEVNULL) as other:
        stop(stopped.pid)
        started = launch(launcher)
        assert stopped.returncode == -signal.SIGKILL
        started.end(MemoryLimit())
        other.kill()


def test_without_a_descriptor_for_a_server_none_is_left(launcher: Launcher) -> None:
    folder = launcher.make_folder()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.create_server(("127.0.0.1", 0)) as listener, open(os.devnull, "w") as null:
        ends = [null.fileno(), null.fileno(), listener.fileno()]
        with open(os.devnull) as lowest:
            free = lowest.fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        try:
            with pytest.raises(StartError, match="no descriptor is free"):
                launcher.start("token", 1, MemoryLimit(), folder, ends)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for pid in tree.below(launcher._process.pid):
        if pid != launcher._process.pid:
            assert wait_gone(pid, DEADLINE)
    launch(launcher).end(MemoryLimit())


def test_a_launcher_without_a_free_descriptor_refuses_and_goes_on(launcher: Launcher) -> None:
    launch(launcher).end(MemoryLimit())
    process = launcher._process
    limits = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    lowest = len(tree.descriptors(process.pid)) + 1
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (lowest, limits[1]))
    with pytest.raises(StartError, match="no process can be started: Too many open files"):
        launch(launcher)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, limits)
    launch(launcher).end(MemoryLimit())
    assert launcher._process is process
