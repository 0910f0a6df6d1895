"""A worker that a template must fork is pending until it answers, and loaded if it does not."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import pytest

from hotwhisk.config.config import with_tokens
from hotwhisk.config.tokens import Tokens
from hotwhisk.ipc.channel import Channel
from hotwhisk.ipc.messages import Load, Ready, SetTokens, Spawn, Spawned
from hotwhisk.supervisor.receiver import READ_AT_ONCE
from hotwhisk.supervisor.watchdog import SPAWN_LIMIT
from hotwhisk.supervisor.workers import State
from hotwhisk.system.children import ExitStatus
from tests.unit.supervisor.scripted import Scripted

DIGEST = "sha256:" + "0" * 64
PID = 200_000


class Templated:
    """
    A supervisor with one worker that has left a template, and the template's end of its
    channel.
    """

    def __init__(self, script: Scripted) -> None:
        self.script = script
        slot = script.serve()
        ours, theirs = Channel.pair()
        self.pidfd = os.eventfd(0)
        template = script.supervisor.rollout.template_ready(1)
        assert template is not None
        self.process = script.processes.add_template(
            template, 1, PID, (ours.detach(), os.dup(self.pidfd))
        )
        script.supervisor.receiver.watch(self.process)
        self.channel = Channel(theirs)
        self.worker = slot

    def lose_worker(self) -> int:
        """End the worker; return the slot of the one that the template must fork."""
        self.script.die(self.worker)
        return self.script.worker(State.LOADING)

    def order(self) -> tuple[Spawn, socket.socket]:
        """Return the message to the template."""
        received = self.channel.receive()
        assert received is not None
        message, (end,) = received
        assert isinstance(message, Spawn)
        return message, socket.socket(fileno=end)

    def send(self, message: Spawned) -> None:
        self.channel.send(message)
        self.script.supervisor.wait(0.0)


@pytest.fixture
def templated(script: Callable[..., Scripted]) -> Iterator[Templated]:
    made = Templated(script())
    yield made
    made.channel.close()
    os.close(made.pidfd)


def test_a_worker_is_pending_until_the_template_sends_its_pid(templated: Templated) -> None:
    script = templated.script
    slot = templated.lose_worker()
    process = script.processes.by_slot[slot]
    assert process.pending
    assert process.pid == 0
    number = script.connect()  # accepted meanwhile, and delayed by no process
    spawn, end = templated.order()
    assert spawn.slot == slot
    worker = Channel(end)
    worker.send(Ready(DIGEST))  # before the message of the template
    templated.send(Spawned(slot, PID + 1))
    assert script.processes.by_slot[slot] is process
    assert process.pid == PID + 1
    script.supervisor.wait(0.0)
    assert script.workers[slot].state is State.SERVING
    assert script.owners.owner(number) == slot
    worker.close()


def test_a_worker_that_a_template_forks_is_told_the_tokens_first(templated: Templated) -> None:
    processes, tokens = templated.script.processes, Tokens(b"call", b"replace")
    processes.config = with_tokens(processes.config, tokens)
    templated.lose_worker()
    _, end = templated.order()
    with closing(Channel(end)) as worker:
        assert worker.receive() == (SetTokens(*tokens.hex()), [])
    assert Tokens.from_hex(*tokens.hex()) == tokens


@pytest.mark.parametrize("pid", [0, 4, 100_001])
def test_one_that_has_no_process_is_loaded(templated: Templated, pid: int) -> None:
    """The system gave no process, it is not our child, or it is another worker."""
    script = templated.script
    slot = templated.lose_worker()
    _, end = templated.order()
    templated.send(Spawned(slot, pid))
    assert script.processes.by_slot[slot].pid == 100_000 + slot
    assert any(isinstance(each, Load) for each in script.messages(slot))
    assert end.recv(1) == b""  # a process that the template forks later finds this, and exits
    end.close()


def test_a_silent_template_is_ended_and_its_worker_loaded(templated: Templated) -> None:
    script = templated.script
    slot = templated.lose_worker()
    script.tick()
    assert script.processes.by_slot[slot].pending
    for _ in range(int(SPAWN_LIMIT / 0.25)):
        script.tick()
    script.supervisor.wait(0.0)  # the template has exited
    assert not script.processes.by_slot[slot].pending
    assert any(isinstance(each, Load) for each in script.messages(slot))
    assert templated.process.ending == ExitStatus(signal=9)
    assert script.workers.templates.get(1) is None
    assert script.scoreboard.timer_on


def test_what_a_template_was_to_fork_for_a_replaced_generation_is_not_loaded(
    templated: Templated,
) -> None:
    script = templated.script
    slot = templated.lose_worker()
    script.serve()
    for _ in range(3):
        script.tick()
    script.supervisor.wait(0.0)  # the template has exited
    assert script.workers[slot].state is State.KILLED
    assert not script.messages(slot)
    script.supervisor.wait(0.0)
    assert slot not in script.workers.by_slot or script.workers[slot].generation != 1
    assert len(script.supervisor.parts.stats.deaths) == 1  # of the worker that was lost


def test_a_late_message_about_a_given_up_slot_is_ignored(templated: Templated) -> None:
    script = templated.script
    slot = templated.lose_worker()
    templated.send(Spawned(slot))
    process = script.processes.by_slot[slot]
    templated.send(Spawned(slot, PID + 1))
    assert script.processes.by_slot[slot] is process
    assert process.pid == 100_000 + slot


def test_one_that_is_killed_while_pending_is_killed_when_it_is_there(templated: Templated) -> None:
    script = templated.script
    slot = templated.lose_worker()
    script.supervisor.rollout.load_timed_out(slot, "60 s")
    script.supervisor.run_commands()
    process = script.processes.by_slot[slot]
    templated.send(Spawned(slot, PID + 1))
    assert process.ending is not None or script.system.endings[process.pidfd].signal == 9


@pytest.mark.parametrize(
    "packet",
    [
        b"nothing",
        b'[2,"ready",{}]',
        b'[2,"spawn",{}]',
        b'[2,"spawned",{"slot":true}]',
        b'[2,"spawned",{"pid":"4711"}]',
        b'[2,"spawned",{"slot":0,"pid":1}]',
        b'[2,"spawned",{"slot":18446744073709551616}]',
    ],
)
def test_a_template_that_sends_what_it_may_not_is_ended_and_its_worker_loaded(
    templated: Templated, packet: bytes
) -> None:
    script = templated.script
    slot = templated.lose_worker()
    _, end = templated.order()
    with end:
        templated.channel._socket.send(packet)
        script.supervisor.wait(0.0)
        script.supervisor.wait(0.0)  # the template has exited
        assert templated.process.ending == ExitStatus(signal=9)
        assert any(isinstance(each, Load) for each in script.messages(slot))
    script.supervisor.wait(0.0)
    assert script.workers.templates.get(1) is None


def test_a_flood_of_a_template_delays_no_other(templated: Templated) -> None:
    script = templated.script
    template = templated.process
    flood = templated.channel._socket
    sent = 0
    with suppress(BlockingIOError):
        while True:
            flood.send(b'[2,"spawned",{"slot":400}]')
            sent += 1
    script.supervisor.wait(0.0)
    left = 0
    while template.channel.receive() is not None:
        left += 1
    assert sent - left == READ_AT_ONCE


def test_an_exception_while_a_template_is_read_ends_that_template(
    templated: Templated, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = templated.script

    def fail(*_: object) -> None:
        raise ZeroDivisionError("a bug of ours")

    with monkeypatch.context() as patch:
        patch.setattr(script.processes, "add_spawned", fail)
        templated.send(Spawned(3, 4711))
    assert any("a bug of ours" in line for line in script.logged)
    script.supervisor.wait(0.0)
    assert script.workers.templates.get(1) is None
