"""Commands that meet a world other than they suppose, with fake processes."""

from __future__ import annotations

import os
from collections.abc import Callable
from errno import EMFILE

import pytest

from hotwhisk.ipc.channel import Channel
from hotwhisk.ipc.messages import Assign, Load, Message, Ping, Ready, Recall, SendError
from hotwhisk.ipc.scoreboard import Phase
from hotwhisk.openwhisk.answers import Cause
from hotwhisk.openwhisk.sentinels import BOTH
from hotwhisk.supervisor.commands import SendError as SendErrorCommand
from hotwhisk.supervisor.workers import State
from tests.unit.supervisor.scripted import Scripted

Script = Callable[..., Scripted]


def test_half_a_request_in_a_file_that_never_arrived_is_answered(script: Script) -> None:
    scripted = script()
    worker = scripted.serve()
    lost, other = scripted.connect(), scripted.connect()
    scripted.scoreboard.set_spill(lost, 7, 100)  # by a message whose descriptor was lost
    scripted.scoreboard.set_phase(lost, Phase.BUFFERED)
    scripted.die(worker)
    scripted.serve()
    orders = [each for slot in scripted.workers.by_slot for each in scripted.messages(slot)]
    (answer,) = [each for each in orders if isinstance(each, SendError)]
    assert (answer.number, answer.status, answer.last) == (lost, 502, True)
    (assign,) = [each for each in orders if isinstance(each, Assign)]
    assert [number for number, *_ in assign.connections] == [other]


@pytest.mark.parametrize(("noted", "missing"), [(0, BOTH), (BOTH, 0)])
def test_sentinels_are_missing_until_a_spare_notes_them(
    script: Script, noted: int, missing: int
) -> None:
    scripted = script(openwhisk=True)
    killed = scripted.serve()
    number = scripted.connect()
    scripted.scoreboard.set_running(number, 1000.0, float("inf"), 0)
    told = []
    for _ in range(2):
        scripted.die(killed)
        scripted.tick()  # a spare that dies at once is not forked again before
        orders = [
            (slot, each) for slot in scripted.workers.by_slot for each in scripted.messages(slot)
        ]
        ((killed, answer),) = [(slot, each) for slot, each in orders if isinstance(each, SendError)]
        told.append(answer.sentinels)
        if noted:
            scripted.scoreboard.set_sentinels(number, noted)
    assert told == [BOTH, missing]


def test_the_spare_beside_the_only_version_has_a_process_when_it_is_needed(script: Script) -> None:
    scripted = script(openwhisk=True, reinit=False)
    worker = scripted.serve()
    number, spare = scripted.connect(), scripted.workers.spare
    for _ in range(4):
        scripted.tick()
    assert scripted.processes.by_slot[spare].pid == 0
    assert not scripted.scoreboard.timer_on_here
    scripted.scoreboard.set_running(number, 1000.0, float("inf"), 0)
    scripted.die(worker)
    assert scripted.processes.by_slot[spare].pid != 0
    first, *_, last = scripted.messages(spare)
    assert (type(first), type(last)) == (SendError, Load)
    assert scripted.processes.by_slot[scripted.workers.spare].pid == 0


def test_a_spare_that_is_needed_and_cannot_be_started_is_started_at_a_tick(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted = script(openwhisk=True, reinit=False)
    worker = scripted.serve()
    spare, pairs = scripted.workers.spare, Channel.pair

    def refuse() -> None:
        raise OSError(EMFILE, os.strerror(EMFILE))

    monkeypatch.setattr(Channel, "pair", refuse)
    scripted.die(worker)
    assert scripted.processes.by_slot[spare].pid == 0
    monkeypatch.setattr(Channel, "pair", pairs)
    scripted.tick()
    assert [type(each) for each in scripted.messages(spare)] == [Load]


def test_a_spare_that_was_needed_exits_when_nothing_is_left_to_do(script: Script) -> None:
    scripted = script(openwhisk=True, reinit=False)
    worker, needed = scripted.serve(), scripted.workers.spare
    scripted.processes.by_slot[needed].channel.send(Ping())
    assert scripted.processes.by_slot[needed].pid != 0
    for _ in range(4):
        scripted.tick()
    assert scripted.messages(needed)[-1] == Recall(drain=True)
    assert scripted.worker(State.DRAINING) == needed
    assert scripted.processes.by_slot[scripted.workers.spare].pid == 0
    assert scripted.worker(State.SERVING) == worker


def test_a_worker_that_may_be_replaced_has_a_spare_with_a_process(script: Script) -> None:
    scripted = script(openwhisk=True, reinit=True)
    scripted.serve()
    assert scripted.processes.by_slot[scripted.workers.spare].pid != 0


def test_a_fork_waits_for_the_load_unless_one_version_follows_another(script: Script) -> None:
    scripted = script()
    scripted.serve()
    for follows in (True, False):
        if not follows:
            scripted.tick()
        scripted.supervisor.rollout.submit(scripted.candidate())
        scripted.supervisor.run_commands()
        assert (scripted.processes.by_slot[scripted.workers.spare].pid != 0) is follows
        scripted.send(scripted.worker(State.LOADING), Ready("sha256:" + 64 * "0"))
        assert scripted.processes.by_slot[scripted.workers.spare].pid != 0


def test_only_errors_for_dead_workers_are_counted_as_such(script: Script) -> None:
    scripted = script()
    number = scripted.connect()
    scripted.supervisor.rollout.commands.append(SendErrorCommand(0, number, Cause.BUSY, ""))
    scripted.supervisor.run_commands()
    assert scripted.supervisor.parts.stats.answered_for_dead_workers == 0
    scripted.supervisor.rollout.commands.append(SendErrorCommand(0, number, Cause.KILLED, ""))
    scripted.supervisor.run_commands()
    assert scripted.supervisor.parts.stats.answered_for_dead_workers == 1


def test_a_run_that_ends_when_its_worker_follows_a_recall_stays_with_that_worker(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted = script()
    worker = scripted.serve(overlap=True)
    number = scripted.connect()
    scripted.scoreboard.set_running(number, 1000.0, float("inf"), 0)
    send = Channel.send

    def follow_at_once(channel: Channel, message: Message, *rights: object) -> None:
        send(channel, message, *rights)  # type: ignore[arg-type]  # as they come
        if isinstance(message, Recall):  # the worker keeps the run, and the run ends
            scripted.scoreboard.set_phase(number, Phase.IDLE)

    monkeypatch.setattr(Channel, "send", follow_at_once)
    scripted.messages(worker)
    scripted.supervisor.rollout.dispatcher.recall(worker)
    scripted.supervisor.run_commands()
    assert scripted.messages(worker) == [Recall()]
