"""The container as the platform treats it: hardened, stopped, frozen, out of memory."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support import tree
from tests.support.client import ClientError, Connection, init_once, run_once
from tests.support.waiting import wait_gone

from .container import COMPAT, PRELOAD, SLIM, Container, docker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

ANSWERS = "def main(event):\n    return {'version': VERSION, 'got': event}\n"
HOLDS = """
import os, time

def main(event):
    if "hold" in event:
        print("held", flush=True)
        while not os.path.exists("/tmp/release"):
            time.sleep(0.01)
    return {"version": VERSION}
"""
EATS = """
def main(event):
    if "eat" in event:
        kept = [bytearray(1 << 20) for _ in range(4096)]
    return {"alive": True}
"""
MEMORY = "The action exhausted its memory and was aborted."
SMALL = ("--memory=128m", "--memory-swap=128m")


def versioned(source: str, number: int) -> str:
    return source.replace("VERSION", str(number))


def wait_log(container: Container, text: str) -> None:
    """Read the log until it has a text."""
    command = ["docker", "logs", "--follow", container.identity]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout is not None
        assert any(text in line for line in follower.stdout), f"it never said {text!r}"
        follower.kill()


def release(container: Container) -> None:
    docker("exec", container.identity, "touch", "/tmp/release")


@pytest.mark.parametrize("image", [SLIM, COMPAT, PRELOAD])
def test_serves_with_every_right_taken_away(image: str) -> None:
    with Container(image) as container:
        address = container.address
        assert init_once(address, versioned(ANSWERS, 1)).status == 200
        assert run_once(address, {"a": 1}).json() == {"version": 1, "got": {"a": 1}}
        status = container.status()
        assert status["pid"] == 1
        assert status["weaknesses"] == []


def test_process_1_reaps_what_docker_exec_left() -> None:
    with Container() as container:
        one, before = (
            container.pid,
            set(tree.children(container.pid)) if container.address else set(),
        )
        # A grandchild that outlives its parent is given to process 1, and ends there.
        docker("exec", container.identity, "sh", "-c", "(sleep 3600 & echo $!) >/tmp/left")
        (adopted,) = set(tree.children(one)) - before
        os.kill(adopted, signal.SIGKILL)
        assert wait_gone(adopted, 10.0)
        container.status()
        assert [child for child in tree.children(one) if tree.is_zombie(child)] == []
        assert set(tree.children(one)) == before


def test_a_stop_drains_and_ends_within_its_grace() -> None:
    with Container() as container:
        address = container.address
        assert init_once(address, versioned(HOLDS, 1)).status == 200
        with Connection(address) as held, Connection(address) as late:
            held.send_run({"hold": True})
            wait_log(container, "held")
            docker("kill", "--signal=TERM", container.identity)
            late.send_run({})
            release(container)
            assert held.read_response().value("version") == 1
            answer = late.read_response()
            assert answer.status in (200, 503), answer
        assert container.wait() == 0


def test_what_never_ends_is_answered_with_503_when_the_grace_is_over() -> None:
    with Container(SLIM, "--env=HOTWHISK_DRAIN_TIMEOUT=1") as container:
        address = container.address
        assert init_once(address, versioned(HOLDS, 1)).status == 200
        with Connection(address) as held:
            held.send_run({"hold": True})
            wait_log(container, "held")
            docker("stop", "--time=20", container.identity)
            assert held.read_response().status == 503
        assert container.wait() == 0  # 137 is what the engine's own kill would leave


def test_128_mb_hold_two_generations() -> None:
    with Container(COMPAT, *SMALL, "--env=PROXY_ALLOW_REINIT=1") as container:
        address = container.address
        source = "import requests, lxml.etree, bs4\n" + HOLDS
        assert init_once(address, versioned(source, 1)).status == 200
        with Connection(address) as held:
            held.send_run({"hold": True})
            wait_log(container, "held")
            assert init_once(address, versioned(source, 2)).status == 200
            generations = {
                each["generation"] for each in container.status()["generation"]["workers"]
            }
            assert {1, 2} <= generations
            assert run_once(address, {}).value("version") == 2
            release(container)
            assert held.read_response().value("version") == 1
        assert container.status()["deaths"] == []


def test_a_pause_in_the_middle_of_a_request_loses_nothing() -> None:
    with Container() as container:
        address = container.address
        assert init_once(address, versioned(HOLDS, 1)).status == 200
        with Connection(address) as held, Connection(address, timeout=0.5) as meanwhile:
            held.send_run({"hold": True})
            wait_log(container, "held")
            docker("pause", container.identity)
            with pytest.raises(ClientError):
                meanwhile.run({})  # frozen: nothing may answer
            docker("unpause", container.identity)
            release(container)
            assert held.read_response().value("version") == 1
        assert run_once(address, {}).value("version") == 1
        assert container.status()["deaths"] == []


def test_an_action_out_of_memory_is_told_so_and_the_next_call_is_served() -> None:
    with Container(SLIM, *SMALL) as container:
        address = container.address
        assert init_once(address, EATS).status == 200
        answer = run_once(address, {"eat": True}, timeout=30.0)
        assert (answer.status, answer.error) == (400, MEMORY)
        assert run_once(address, {}, timeout=30.0).json() == {"alive": True}
        assert container.status()["pid"] == 1


def test_a_version_that_does_not_fit_into_memory_is_told_so_in_the_log() -> None:
    with Container(SLIM, *SMALL) as container:
        address = container.address
        assert (
            init_once(address, "kept = [bytearray(1 << 20) for _ in range(4096)]\n").status == 502
        )
        assert "during initialization. The memory was exhausted.\n" in container.logs()
        assert init_once(address, versioned(ANSWERS, 2)).status == 200
        assert run_once(address, {}).value("version") == 2


@pytest.mark.parametrize(("given", "workers"), [(0, 500), (300, 800), (984, 1000)])
def test_workers_die_before_process_1_whatever_score_the_container_was_given(
    given: int, workers: int
) -> None:
    """A kubelet gives up to 999, by how little memory a container asks for."""
    with Container(SLIM, *SMALL, f"--oom-score-adj={given}") as container:
        address = container.address
        assert init_once(address, "def main(event):\n    return {}\n").status == 200
        assert score(container.pid) == given
        assert {score(child) for child in tree.children(container.pid)} == {workers}


def score(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text(encoding="ascii"))


def test_requests_that_do_not_fit_into_memory_are_told_so_and_are_no_crash_loop() -> None:
    with Container(SLIM, *SMALL) as container:
        address = container.address
        assert init_once(address, "def main(event):\n    return {'alive': True}\n").status == 200
        for _ in range(4):  # three that count would be one
            answer = run_once(address, {"text": "a" * (50 << 20)}, timeout=30.0)
            assert (answer.status, answer.error) == (400, MEMORY)
        assert run_once(address, {}, timeout=30.0).json() == {"alive": True}


def test_where_the_kernel_kills_the_whole_group_the_container_ends_at_once() -> None:
    """Check that the connection ends, and that the engine knows why, as the platform reads it."""
    with Container(SLIM, *SMALL) as container:
        address = container.address
        assert init_once(address, EATS).status == 200
        kill_whole(container)
        with Connection(address, timeout=30.0) as eater, pytest.raises(ClientError):
            eater.run({"eat": True})
        assert container.wait() == 137
        assert docker("inspect", "--format={{.State.OOMKilled}}", container.identity) == "true"


def kill_whole(container: Container) -> None:
    """
    Set ``memory.oom.group``, as kubelet does.

    Control groups of version 1 have none: there the kernel is led to process 1, whose death ends
    its whole pid namespace.
    """
    (line,) = [
        line
        for line in Path(f"/proc/{container.pid}/cgroup").read_text(encoding="ascii").splitlines()
        if ":memory:" in line or (line.startswith("0::/") and not version_1())
    ]
    if version_1():
        Path(f"/proc/{container.pid}/oom_score_adj").write_text("1000", encoding="ascii")
        for child in tree.children(container.pid):
            Path(f"/proc/{child}/oom_score_adj").write_text("0", encoding="ascii")
    else:
        group = Path("/sys/fs/cgroup" + line.partition("::")[2])
        (group / "memory.oom.group").write_text("1", encoding="ascii")


def version_1() -> bool:
    return Path("/sys/fs/cgroup/memory").is_dir()
