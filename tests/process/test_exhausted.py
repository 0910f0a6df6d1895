"""
Let every start of a process fail, or each process die at once: the server goes on and does not
spin.

The system refuses at the seam, `hotwhisk.system.system.System`; everything else is the real server.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator

import pytest

from tests.support.client import Connection, run_once
from tests.support.server import Server
from tests.support.wire import init_request, run_request

from . import actions, control

pytestmark = pytest.mark.slow

PROGRAM = """
import os, sys
from errno import EAGAIN
from hotwhisk.server import server
from hotwhisk.system import system
from hotwhisk.__main__ import main

class Exhausted(system.System):
    def fork(self, child, name):
        with open("forks", "a") as forks:
            forks.write("fork\\n")
        if os.path.exists("no-process"):
            raise OSError(EAGAIN, os.strerror(EAGAIN))
        if os.path.exists("short-lived"):
            child = lambda: os._exit(9)
        return super().fork(child, name)

server.System = Exhausted
sys.argv = ["hotwhisk", "serve", "--run-dir", "run", *sys.argv[1:]]
sys.exit(main())
"""


class Exhaustible(Server):
    """A server whose machine refuses processes if a test says so."""

    def __init__(self, *arguments: str) -> None:
        super().__init__(*arguments, command=(sys.executable, "-c", PROGRAM))

    def set(self, fault: str) -> None:
        (self.folder / fault).touch()

    def clear(self, fault: str) -> None:
        (self.folder / fault).unlink()

    def forks(self) -> int:
        return (self.folder / "forks").read_text().count("fork")


@pytest.fixture
def server() -> Iterator[Exhaustible]:
    with Exhaustible("--drain-timeout", "5") as started:
        started.post(actions.plain(1))
        wait_for_spare(started)
        yield started
        started.end_well()


def wait_for_spare(server: Server) -> None:
    """Wait until the spare has its process: it is forked after the answer to an ``/init``."""
    control.wait_until(
        server,
        lambda found: all(each["pid"] for each in found["generation"]["workers"]),
        "the spare is there",
    )


def kill_spare(server: Server) -> None:
    os.kill(control.pid(server, "spare"), signal.SIGKILL)
    control.wait_until(server, lambda found: found["deaths"], "the death of the spare is heard")


def test_what_is_there_goes_on_while_no_process_can_be_started(server: Exhaustible) -> None:
    with Connection(server.address) as kept:
        pid = kept.run({}).value("pid")
        server.set("no-process")
        kill_spare(server)
        for _ in range(3):
            assert kept.run({}).value("pid") == pid
            assert run_once(server.address, {}).value("pid") == pid
        text = "no process can be started: Resource temporarily unavailable; trying again"
        control.wait_until(server, lambda _: text in server.stderr(), "it is told")
        ticks = server.forks() + 3
        control.wait_until(server, lambda _: server.forks() > ticks, "some more attempts")
    assert server.stderr().count(text) == 1  # not one line for each
    server.clear("no-process")
    wait_for_spare(server)
    server.post(actions.plain(2))
    assert run_once(server.address, {}).value("version") == 2


def test_a_replacement_needs_no_further_process(server: Exhaustible) -> None:
    server.set("no-process")
    server.post(actions.plain(2))
    assert run_once(server.address, {}).value("version") == 2
    with Connection(server.address) as poster:
        # The next one needs the spare that could not be started: it waits, and loses nothing.
        poster.send(init_request(actions.plain(3)))
        assert run_once(server.address, {}).value("version") == 2
        server.clear("no-process")
        assert poster.read_response().status == 200
    assert run_once(server.address, {}).value("version") == 3


def test_a_deadline_holds_while_no_process_can_be_started(server: Exhaustible) -> None:
    server.post(
        "import time\ndef main(event):\n    time.sleep(event.get('for', 0))\n    return {}\n"
    )
    with Connection(server.address) as late:
        kill_spare(server)
        server.set("no-process")
        deadline = int(1000 * (time.time() + 0.5))
        late.send(run_request({"for": 60}, deadline=deadline))
        control.wait_until(
            server,
            lambda found: len(found["deaths"]) > 1 and found["deaths"][-1]["during"] == "a request",
            "the worker past its deadline is killed",
        )
        server.clear("no-process")
        answer = late.read_response()
    assert answer.status == 502
    assert "no answer within" in answer.error
    assert run_once(server.address, {}).status == 200


def test_a_stop_is_obeyed_while_no_process_can_be_started(server: Exhaustible) -> None:
    server.set("no-process")
    kill_spare(server)
    server.terminate()
    assert server.wait(5.0) == 0, server.stderr()


def test_spares_that_die_at_once_are_not_forked_in_a_loop(server: Exhaustible) -> None:
    server.set("short-lived")
    kill_spare(server)
    before, start = server.forks(), time.monotonic()
    control.wait_until(server, lambda found: len(found["deaths"]) > 4, "some more deaths")
    ticks = (time.monotonic() - start) / 0.25
    assert server.forks() - before <= ticks + 2
    assert run_once(server.address, {}).status == 200
    server.clear("short-lived")
    server.post(actions.plain(2))
    assert run_once(server.address, {}).value("version") == 2
