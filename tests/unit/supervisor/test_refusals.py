"""
What the system refuses a supervisor: done, later, or given up with a line.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from errno import EMFILE, EPERM

import pytest

from hotwhisk.channel import Channel
from hotwhisk.messages import Hand, Mark, Ping
from hotwhisk.supervisor import effects, premises
from hotwhisk.supervisor.effects import Candidate
from hotwhisk.supervisor.lifecycle import State
from hotwhisk.system.descriptors import Descriptors
from hotwhisk.system.offspring import Ending
from tests.unit.supervisor.scripted import Scripted


def test_a_worker_that_cannot_be_killed_counts_as_dead(script: Callable[..., Scripted]) -> None:
    scripted = script()
    slot, number = scripted.serve(), scripted.connect()
    process = scripted.crew.processes[slot]
    scripted.system.may_kill = False
    scripted.crew.kill(slot)
    assert scripted.roster[slot].state is State.SERVING
    scripted.look()  # refused again
    scripted.supervisor.wait(0.0)
    assert slot not in scripted.roster.workers
    assert scripted.custody.holder(number) != slot
    assert any("cannot be ended" in line for line in scripted.told)
    scripted.look()
    assert scripted.ledger.ticking  # it is tried again
    scripted.system.may_kill = True
    scripted.look()
    assert scripted.system.endings.get(process.pidfd) in (None, Ending(signal=9))
    assert not scripted.crew.kill_again()


def test_a_kill_that_is_refused_once_is_done_later(script: Callable[..., Scripted]) -> None:
    scripted = script()
    slot = scripted.serve()
    pidfd = scripted.crew.processes[slot].pidfd
    scripted.system.may_kill = False
    scripted.crew.kill(slot)
    scripted.system.may_kill = True
    scripted.look()
    assert scripted.system.endings[pidfd] == Ending(signal=9)
    assert not any("cannot be ended" in line for line in scripted.told)


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
    assert scripted.crew.unborn()
    desk = scripted.roster.desk
    scripted.supervisor.succession.effects.append(effects.Mark(desk, "text"))
    scripted.supervisor.carry_out()
    monkeypatch.setattr(Channel, "pair", pairs)
    scripted.look()
    scripted.supervisor.wait(0.0)
    assert not scripted.crew.unborn()
    assert any(isinstance(each, Mark) for each in scripted.orders(desk))
    assert number in scripted.custody


def test_a_worker_to_which_nothing_can_be_sent_ends(script: Callable[..., Scripted]) -> None:
    scripted = script()
    slot = scripted.serve()
    process = scripted.crew.processes[slot]
    assert process.channel.on_failure is not None
    process.channel.on_failure(OSError(EPERM, os.strerror(EPERM)))
    assert scripted.system.endings[process.pidfd] == Ending(signal=9)
    assert scripted.told[-1].endswith("is ended: Operation not permitted")


def test_what_has_no_other_answer_is_told_and_the_rest_is_done(
    script: Callable[..., Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted = script()

    def refuse(_: int) -> None:
        raise OSError(EPERM, os.strerror(EPERM))

    monkeypatch.setattr(scripted.supervisor.holdings, "end", refuse)
    scripted.connect()
    queue = scripted.supervisor.succession.effects
    queue += [effects.Shut(0), effects.Tell("next")]
    scripted.supervisor.carry_out()
    assert scripted.told[-2:] == [
        "the system refused what had to be done: Shut: Operation not permitted",
        "next",
    ]


def test_retired_workers_take_the_room_of_connections() -> None:
    few, many = (premises.room_beside(processes, 1, 256) for processes in (2, 60))
    assert few - many == 59  # three descriptors for each, less one: its request has been read
    assert premises.room_beside(500, 1, 256) < 0


def test_a_replacement_without_descriptors_is_refused(script: Callable[..., Scripted]) -> None:
    scripted = script()
    scripted.serve()
    refused: list[effects.Reply] = []
    scripted.supervisor.replied = refused.append
    scripted.supervisor._limit = premises.OWN_DESCRIPTORS
    scripted.supervisor.succession.submit(Candidate(effects.Artifact()))
    (reply,) = [
        each for each in scripted.supervisor.succession.effects if isinstance(each, effects.Reply)
    ]
    assert reply.status == 503
    scripted.supervisor.succession.effects.clear()


def test_accepting_pauses_while_there_is_no_room(script: Callable[..., Scripted]) -> None:
    scripted = script()
    holdings = scripted.supervisor.holdings
    scripted.connect()
    holdings.most = 1
    assert holdings.full
    holdings.most = 2
    assert not holdings.full


def test_a_queue_of_the_supervisor_needs_no_descriptor_of_its_own() -> None:
    used = Descriptors()
    channel = Channel(None, None, used)
    file = os.open(os.devnull, os.O_RDONLY)
    before = len(os.listdir("/proc/self/fd"))
    channel.send(Hand([[1, 1, 0, 0]]), [file])
    channel.send(Ping())
    assert len(os.listdir("/proc/self/fd")) == before
    used.close(file)  # its owner needs it no more
    ours, theirs = Channel.pair()
    channel.open(ours)
    channel.flush()
    worker = Channel(theirs)
    received = worker.receive()
    assert received is not None
    os.close(received[1][0])
    assert isinstance(received[0], Hand)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)
    channel.close()
    worker.close()
