"""
Let the system refuse calls while the server runs: each is done, tried later, or given up with a
line.

That each call fails once with each of its errors is a proof, `tests.prove.refusals`.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import ExitStack
from errno import EMFILE, EPERM

import pytest

from tests.support import tree
from tests.support.client import Connection, init_once, run_once
from tests.support.failing import Failing
from tests.support.rendezvous import Rendezvous
from tests.support.server import HOTWHISK, Server
from tests.support.waiting import wait_few, wait_gone
from tests.support.wire import run_request

from . import actions, control

pytestmark = pytest.mark.slow

DEADLINE = 1.0
TOLD_WITHIN = 1.5
"""Seconds after a deadline until its caller gets the error, if the kill is refused at first."""

OTHER_USER = """
import os, time
def main(event):
    if "leave" in event:
        os.setresuid(65534, 65534, 65534)
    if event.get("leave") == "exec":  # as sudo is: another user, and nothing of ours
        os.execv("/bin/sleep", ["sleep", "60"])
    elif "leave" in event:
        time.sleep(60)
    return {"pid": os.getpid(), "version": 1}
"""

WAYS = ("exec", "run on") if os.geteuid() == 0 else ()
"""
How a worker becomes another user's.

A setuid program does it, and only root can do it without one. For other users the refusal in the
tests beside this one is the same, by a filter of system calls.
"""

WITHOUT_CAP_KILL = """
import ctypes, os, sys
PR_CAPBSET_DROP, CAP_KILL = 24, 5
assert ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_KILL, 0, 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""


def overdue(connection: Connection, event: dict[str, object]) -> float:
    """Send a request with a deadline; wait for the error; return the seconds after the deadline."""
    due = time.time() + DEADLINE
    connection.send(run_request(event, deadline=int(1000 * due)))
    answer = connection.read_response()
    assert answer.status == 502
    assert "no answer within" in answer.error
    return time.time() - due


def test_a_worker_that_cannot_be_killed_is_given_up_and_tried_again() -> None:
    with Failing() as server, Rendezvous() as meet:
        server.post(actions.plain(1))
        with Connection(server.address) as idle, Connection(server.address) as late:
            idle.run({})
            server.fail("pidfd_send_signal", EPERM, times=2)
            assert overdue(late, {"hold": meet.path}) < TOLD_WITHIN
            held = meet.wait_arrival()
            assert idle.run({}).value("version") == 1  # by the next worker
            assert held.wait_gone(10.0)  # with its process group
        assert server.has_failed
        assert f"worker {held.pid} cannot be ended" in server.stderr()
        server.post(actions.plain(2))
        assert run_once(server.address, {}).value("version") == 2
        server.terminate()
        assert server.wait(10.0) == 0
        assert "Traceback" not in server.stderr()


def test_a_kill_that_is_refused_once_is_done_at_the_next_tick() -> None:
    with Failing() as server, Rendezvous() as meet:
        server.post(actions.plain(1))
        with Connection(server.address) as late:
            server.fail("pidfd_send_signal", EPERM)
            assert overdue(late, {"hold": meet.path}) < TOLD_WITHIN
        assert "cannot be ended" not in server.stderr()
        assert run_once(server.address, {}).value("version") == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_worker_that_runs_as_another_user_delays_no_client(way: str) -> None:
    command = (sys.executable, "-c", WITHOUT_CAP_KILL, *HOTWHISK)
    with Server(command=command) as server:
        server.post(OTHER_USER)
        with Connection(server.address) as idle, Connection(server.address) as late:
            pid = idle.run({}).value("pid")
            assert isinstance(pid, int)
            assert overdue(late, {"leave": way}) < TOLD_WITHIN
            assert idle.run({}).value("version") == 1
        assert f"worker {pid} cannot be ended" in server.stderr()
        server.post(actions.plain(2))
        assert run_once(server.address, {}).value("version") == 2
        server.terminate()
        assert server.wait(10.0) == 0
        assert "Traceback" not in server.stderr()
        assert "could not be ended, and is left" in server.stderr()
        os.kill(pid, signal.SIGKILL)
        assert wait_gone(pid, 10.0)


def test_many_draining_workers_leave_room_for_clients_and_for_the_next_spare() -> None:
    with Server(nofile=256) as server, Rendezvous() as meet, ExitStack() as stack:
        server.post(actions.plain(1))
        runners, version = [], 1
        for _ in range(120):
            runner = stack.enter_context(Connection(server.address))
            runner.send_run({"hold": meet.path})
            runners.append((runner, meet.wait_arrival(), version))
            answer = init_once(server.address, actions.plain(version + 1))
            if answer.status != 200:
                break
            version += 1
        assert answer.status == 503
        assert "too many replacements" in answer.error
        assert version > 40
        assert control.status(server)["pid"] == server.pid
        os.kill(
            control.pid(server, "spare"), signal.SIGKILL
        )  # and the next spare finds descriptors
        for runner, held, expected in runners[:-1]:
            held.release()
            assert runner.read_response().value("version") == expected
        runners[-1][1].release()
        assert runners[-1][0].read_response().value("version") == version
        assert len(wait_few(server.tree, 3, 10.0)) == 3
        server.post(actions.plain(version + 1))
        assert run_once(server.address, {}).value("version") == version + 1
        assert "Traceback" not in server.stderr()


def test_orders_for_a_worker_wait_while_there_is_no_descriptor_for_its_channel() -> None:
    with Failing() as server:
        server.post(actions.plain(1))
        with Connection(server.address) as kept:
            pid = kept.run({}).value("pid")
            spare = control.pid(server, "spare")
            server.fail("socketpair", EMFILE, times=3)
            os.kill(spare, signal.SIGKILL)
            assert isinstance(pid, int)
            os.kill(
                pid, signal.SIGKILL
            )  # its connections wait for a worker that has no channel yet
            assert wait_gone(pid, 10.0)
            answer = kept.run({})
            assert answer.status == 200
        assert server.has_failed
        assert "no process can be started: Too many open files; trying again" in server.stderr()
        control.wait_until(
            server,
            lambda found: all(each["pid"] for each in found["generation"]["workers"]),
            "all have a process",
        )
        assert len(tree.descriptors(server.pid)) < 40
