"""Calls that the system refuses a supervisor: done, later, or given up with a line."""

from __future__ import annotations

import os
from collections.abc import Callable
from errno import EMFILE, EPERM

import pytest

from hotwhisk.ipc.channel import Channel
from hotwhisk.ipc.messages import Assign, EndLog, Ping
from hotwhisk.supervisor import commands, resources
from hotwhisk.supervisor.commands import Candidate
from hotwhisk.supervisor.log_events import LogEvent
from hotwhisk.supervisor.workers import State
from hotwhisk.system.children import ExitStatus
from hotwhisk.system.descriptors import Descriptors
from tests.unit.supervisor.scripted import Scripted


def test_a_worker_that_cannot_be_killed_counts_as_dead(script: Callable[..., Scripted]) -> None:
    scripted = script()
    slot, number = scripted.serve(), scripted.connect()
    process = scripted.processes.by_slot[slot]
    scripted.system.may_kill = False
    scripted.processes.kill(slot)
    assert scripted.workers[slot].state is State.SERVING
    scripted.tick()  # refused again
    scripted.supervisor.wait(0.0)
    assert slot not in scripted.workers.by_slot
    assert scripted.owners.owner(number) != slot
    assert any("cannot be ended" in line for line in scripted.logged)
    scripted.tick()
    assert scripted.scoreboard.timer_on  # it is tried again
    scripted.system.may_kill = True
    scripted.tick()
    assert scripted.system.endings.get(process.pidfd) in (None, ExitStatus(signal=9))
    assert not scripted.processes.kill_again()


def test_a_kill_that_is_refused_once_is_done_later(script: Callable[..., Scripted]) -> None:
    scripted = script()
    slot = scripted.serve()
    pidfd = scripted.processes.by_slot[slot].pidfd
    scripted.system.may_kill = False
    scripted.processes.kill(slot)
    scripted.system.may_kill = True
    scripted.tick()
    assert scripted.system.endings[pidfd] == ExitStatus(signal=9)
    assert not any("cannot be ended" in line for line in scripted.logged)


def test_orders_wait_for_a_worker_that_has_no_channel(
    script: Callable[..., Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted = script()
    slot = scripted.serve()
    number = scripted.connect()
    pairs = Channel.pair

    def refuse() -> None:
        raise OSError(EMFILE, os.strerror(EMFILE))

    monkeypatch.setattr(Channel, "pair", refuse)
    scripted.die(slot)
    assert scripted.processes.unforked()
    spare = scripted.workers.spare
    scripted.supervisor.rollout.commands.append(commands.Send(spare, EndLog("text")))
    scripted.supervisor.run_commands()
    monkeypatch.setattr(Channel, "pair", pairs)
    scripted.tick()
    scripted.supervisor.wait(0.0)
    assert not scripted.processes.unforked()
    assert any(isinstance(each, EndLog) for each in scripted.messages(spare))
    assert number in scripted.owners


def test_a_worker_to_which_nothing_can_be_sent_ends(script: Callable[..., Scripted]) -> None:
    scripted = script()
    slot = scripted.serve()
    process = scripted.processes.by_slot[slot]
    assert process.channel.on_failure is not None
    process.channel.on_failure(OSError(EPERM, os.strerror(EPERM)))
    assert scripted.system.endings[process.pidfd] == ExitStatus(signal=9)
    assert scripted.logged[-1].endswith("is ended: Operation not permitted")


def test_what_has_no_other_answer_is_told_and_the_rest_is_done(
    script: Callable[..., Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted = script()

    def refuse(_: int) -> None:
        raise OSError(EPERM, os.strerror(EPERM))

    monkeypatch.setattr(scripted.supervisor.sockets, "close", refuse)
    scripted.connect()
    queue = scripted.supervisor.rollout.commands
    queue += [commands.CloseConnection(0), commands.Log("next", LogEvent.RETRY)]
    scripted.supervisor.run_commands()
    assert scripted.logged[-2:] == [
        "the system refused what had to be done: CloseConnection: Operation not permitted",
        "next",
    ]


def test_draining_workers_take_the_room_of_connections() -> None:
    few, many = (resources.room_beside(processes, 1, 256) for processes in (2, 60))
    assert few - many == 59  # three descriptors for each, less one: its request has been read
    assert resources.room_beside(500, 1, 256) < 0


def test_a_replacement_without_descriptors_is_refused(script: Callable[..., Scripted]) -> None:
    scripted = script()
    scripted.serve()
    scripted.supervisor._limit = resources.SERVER_DESCRIPTORS
    scripted.supervisor.rollout.submit(Candidate(commands.Artifact()))
    (answer,) = [
        each
        for each in scripted.supervisor.rollout.commands
        if isinstance(each, commands.SendAnswer)
    ]
    assert answer.status == 503
    scripted.supervisor.rollout.commands.clear()


def test_accepting_pauses_while_there_is_no_room(script: Callable[..., Scripted]) -> None:
    scripted = script()
    sockets = scripted.supervisor.sockets
    scripted.connect()
    sockets.most = 1
    assert sockets.full
    sockets.most = 2
    assert not sockets.full


def test_a_queue_of_the_supervisor_needs_no_descriptor_of_its_own() -> None:
    used = Descriptors()
    channel = Channel(None, None, used)
    file = os.open(os.devnull, os.O_RDONLY)
    before = set(os.listdir("/proc/self/fd"))
    channel.send(Assign([[1, 1, 0, 0]]), [file])
    channel.send(Ping())
    assert set(os.listdir("/proc/self/fd")) <= before  # what earlier tests left may be closed now
    used.close(file)  # its owner does not need it any more
    ours, theirs = Channel.pair()
    channel.open(ours)
    channel.flush()
    worker = Channel(theirs)
    received = worker.receive()
    assert received is not None
    os.close(received[1][0])
    assert isinstance(received[0], Assign)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)
    channel.close()
    worker.close()
