"""Workers that come as requests wait behind the runs of others, and go when they are idle."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support import sinks
from tests.support.actions import puppet_source
from tests.support.client import Connection, init_once, run_once
from tests.support.rendezvous import Held, Rendezvous
from tests.support.server import Server
from tests.support.waiting import wait_gone

from . import control

pytestmark = pytest.mark.slow

SENTINEL = b"XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"
MB = 1 << 20

IMPORTED = "import time\nend = time.process_time() + 0.1\nwhile time.process_time() < end: pass\n"
"""Takes so long to import that the worker leaves a template."""

IN_GROUP = """\
import sys
from hotwhisk.system import control_group
control_group.MOUNT = sys.argv.pop(1)
control_group.paths = lambda: {"": ""}
from hotwhisk.cli import main
sys.exit(main(sys.argv[1:]))
"""


class Calls:
    """Calls that are held in the handler, each by a worker of its own."""

    def __init__(self, server: Server, stack: ExitStack) -> None:
        self.server = server
        self.meet = stack.enter_context(Rendezvous())
        self._stack = stack

    def send(self, calls: int, **keys: object) -> list[Connection]:
        """Send calls at once, on connections of their own."""
        opened = [self._stack.enter_context(Connection(self.server.address)) for _ in range(calls)]
        for number, connection in enumerate(opened):
            connection.send_run({"do": "hold", "at": self.meet.path, "token": number}, **keys)
        return opened

    def wait_arrivals(self, calls: int) -> dict[int, Held]:
        """Wait until so many handlers run; return them by process id."""
        found = [self.meet.wait_arrival() for _ in range(calls)]
        return {each.pid: each for each in found}


@contextmanager
def calling(
    *arguments: str, source: str | None = None, env: Mapping[str, str] | None = None
) -> Iterator[Calls]:
    with Server(*arguments, env=env) as server, ExitStack() as stack:
        server.post(source or puppet_source(1))
        yield Calls(server, stack)
        stack.close()
        server.end_well()


def answered(connections: list[Connection], version: int = 1) -> None:
    """Assert that each call gets its own answer."""
    for connection in connections:
        answer = connection.read_response()
        assert (answer.status, answer.value("version")) == (200, version), answer.body


@pytest.mark.parametrize("source", [puppet_source(1), IMPORTED + puppet_source(1)])
def test_ten_calls_at_once_run_in_ten_processes_under_openwhisk(source: str) -> None:
    with calling("--openwhisk", source=source) as calls:
        sent = calls.send(10)
        held = calls.wait_arrivals(10)
        assert len(held) == 10
        for each in held.values():
            each.release()
        answered(sent)


@pytest.mark.parametrize(
    ("profile", "said"), [((), "true"), (("--openwhisk",), "false")], ids=["plain", "openwhisk"]
)
def test_one_process_serves_where_no_more_are_asked_for_or_allowed(
    profile: tuple[str, ...], said: str
) -> None:
    with calling(*profile, env={"__OW_ALLOW_CONCURRENT": said}) as calls:
        sent = calls.send(3)
        first = calls.meet.wait_arrival()
        control.wait_until(calls.server, lambda found: found["parked"] == 2, "the others parked")
        first.release()
        for _ in range(2):
            calls.meet.wait_arrival().release()
        answered(sent)


def test_no_more_than_the_most_run_at_a_time_and_the_others_follow() -> None:
    with calling("--workers", "1..3") as calls:
        sent = calls.send(7)
        for running in (3, 3, 1):
            held = calls.wait_arrivals(running)
            assert len(held) == running
            assert len(control.status(calls.server)["generation"]["workers"]) <= 4
            for each in held.values():
                each.release()
        answered(sent)


def test_a_death_among_them_answers_its_own_call_only() -> None:
    with calling("--workers", "1..8") as calls:
        sent = calls.send(6)
        held = calls.wait_arrivals(6)
        killed, *others = held.values()
        os.kill(killed.pid, signal.SIGKILL)
        assert killed.wait_gone(5.0)
        for each in others:
            each.release()
        answers = [connection.read_response() for connection in sent]
        assert sorted(answer.status for answer in answers) == [200] * 5 + [502]
        assert run_once(calls.server.address, {}).status == 200


def test_a_deadline_ends_its_own_run_only() -> None:
    with calling("--workers", "1..8") as calls:
        others = calls.send(3)
        held = calls.wait_arrivals(3)
        (late,) = calls.send(1, deadline=str(int(time.time() * 1000) + 1500))
        (overdue,) = calls.wait_arrivals(1).values()
        assert late.read_response().error
        assert wait_gone(overdue.pid, 5.0)
        for each in held.values():
            each.release()
        answered(others)


def test_a_replacement_loses_no_call_of_any_of_them() -> None:
    with calling("--workers", "1..8") as calls:
        old = calls.send(5)
        held = calls.wait_arrivals(5)
        waiting = calls.send(2)
        assert init_once(calls.server.address, puppet_source(2)).status == 200
        new = calls.send(4)
        for each in calls.wait_arrivals(6).values():  # those that waited run in either version
            each.release()
        for each in held.values():
            each.release()
        answered(old)
        answered(new, 2)
        assert {each.read_response().status for each in waiting} == {200}
        for pid in held:
            assert wait_gone(pid, 10.0)


def test_the_log_has_a_sentinel_for_each_of_the_runs_on_both_streams() -> None:
    with sinks.pipe() as sink, Server("--openwhisk", output=sink.writing) as server:
        server.post(
            "import time\ndef main(event):\n    print('line')\n    time.sleep(0.2)\n    return {}\n"
        )
        with ExitStack() as stack:
            opened = [stack.enter_context(Connection(server.address)) for _ in range(8)]
            for connection in opened:
                connection.send_run({})
            for connection in opened:
                assert connection.read_response().status == 200
        text = sink.read_until(lambda taken: taken.count(SENTINEL) == 16)
        lines = [line for line in text.split(b"\n") if b"XXX" in line or b"line" in line]
        assert sorted(lines) == [SENTINEL] * 16 + [b"line"] * 8


def test_idle_ones_exit_and_the_least_stay() -> None:
    with calling("--workers", "2..6") as calls:
        sent = calls.send(5)
        for each in calls.wait_arrivals(5).values():
            each.release()
        answered(sent)
        control.wait_until(
            calls.server,
            lambda found: [
                each["state"] for each in found["generation"]["workers"] if each["state"] != "spare"
            ] == ["serving"] * 2,
            "two workers",
            timeout=20.0,
        )  # fmt: skip
        assert not control.status(calls.server)["deaths"]


@pytest.mark.parametrize(("free", "workers"), [(0, 1), (1 << 20, 4)])
def test_a_memory_limit_without_room_keeps_their_number(
    free: int, workers: int, tmp_path: Path
) -> None:
    (tmp_path / "memory.max").write_text(f"{200 * MB}")
    (tmp_path / "memory.current").write_text(f"{180 * MB}")
    (tmp_path / "memory.stat").write_text(f"inactive_file {free * MB}")
    command = (sys.executable, "-c", IN_GROUP, str(tmp_path), "serve", "--workers", "1..4")
    limited = Server(command=command)
    limited.command += ["--run-dir", str(limited.run_dir)]
    with limited as server, ExitStack() as stack:
        server.post(puppet_source(1))
        calls = Calls(server, stack)
        sent = calls.send(4)
        first = calls.wait_arrivals(workers)
        assert len(first) == workers
        control.wait_until(
            server, lambda found: found["parked"] == 4 - workers, "the others parked"
        )
        for each in first.values():
            each.release()
        for _ in range(4 - workers):
            calls.meet.wait_arrival().release()
        answered(sent)


def test_one_that_does_not_load_ends_no_activation_and_the_others_go_on() -> None:
    source = (
        "import socket\n"
        "only = socket.create_server(('127.0.0.1', %d))\n"
        "def main(event):\n"
        "    with socket.socket(socket.AF_UNIX) as end:\n"
        "        end.connect(event['at'])\n"
        "        end.sendall(b'%%d' %% __import__('os').getpid())\n"
        "        end.recv(1)\n"
        "    return {'version': 1}\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with sinks.pipe() as sink, Server("--openwhisk", output=sink.writing) as server:
        server.post(source % port)
        with ExitStack() as stack:
            calls = Calls(server, stack)
            sent = calls.send(3)
            for _ in range(3):
                held = calls.meet.wait_arrival()
                control.wait_until(
                    server,
                    lambda found: len(found["generation"]["workers"]) == 2,
                    "those that failed are gone",
                )
                held.release()
            answered(sent)
        server.end_well()
        assert sink.read().count(SENTINEL) == 6
