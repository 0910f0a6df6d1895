"""Which workers there are, and the spare among them."""

from __future__ import annotations

from collections import deque

import pytest

from hotwhisk.config.config import MOST_WORKERS, MOST_WORKERS_KEPT
from hotwhisk.ipc.scoreboard import WORKERS
from hotwhisk.supervisor.commands import Command, StartWorker
from hotwhisk.supervisor.workers import RESERVED_SLOTS, Event, State, Workers


def make_workers(slots: int = 4) -> tuple[Workers, deque[Command]]:
    commands: deque[Command] = deque()
    return Workers(slots, commands), commands


def test_the_spare_is_there_from_the_first_moment() -> None:
    workers, commands = make_workers()
    assert list(commands) == [StartWorker(workers.spare)]
    assert workers[workers.spare].state is State.SPARE


def test_a_spare_that_dies_is_replaced_at_once() -> None:
    workers, commands = make_workers()
    first = workers.spare
    assert workers.remove(first).slot == first
    assert workers.spare != first
    assert list(commands) == [StartWorker(first), StartWorker(workers.spare)]


def test_a_spare_that_became_a_worker_lives_on() -> None:
    workers, _ = make_workers()
    first = workers.spare
    assert workers.apply(first, Event.LOAD)
    workers[first].generation = 3
    workers.replace_spare()
    assert set(workers.by_slot) == {first, workers.spare}
    workers.remove(first)
    assert set(workers.by_slot) == {workers.spare}


def test_an_event_without_meaning_changes_nothing() -> None:
    workers, _ = make_workers()
    assert not workers.apply(workers.spare, Event.READY)
    assert workers[workers.spare].state is State.SPARE


def test_slots_are_used_again_the_longest_free_first() -> None:
    workers, _ = make_workers(slots=3)
    seen = []
    for _ in range(7):
        seen.append(workers.spare)
        workers.remove(workers.spare)
    assert seen == [0, 1, 2, 0, 1, 2, 0]


def test_the_workers_of_a_generation_by_state() -> None:
    workers, _ = make_workers()
    slots = []
    for event in (None, Event.READY, Event.FAILED):
        slot = workers.spare
        slots.append(slot)
        workers.apply(slot, Event.LOAD)
        workers[slot].generation = 1
        if event:
            workers.apply(slot, event)
        workers.replace_spare()
    assert workers.in_generation(1) == slots
    assert workers.in_generation(1, State.SERVING) == [slots[1]]
    assert workers.in_generation(1, State.LOADING, State.KILLED) == [slots[0], slots[2]]
    assert workers.in_generation(2) == []


def test_a_replacement_leaves_room_for_fresh_workers() -> None:
    workers, _ = make_workers(slots=RESERVED_SLOTS + 3)
    assert workers.has_room(1)
    workers.replace_spare()
    assert workers.has_room(1)
    workers.replace_spare()
    assert not workers.has_room(1)


@pytest.mark.parametrize(("most", "versions"), [(MOST_WORKERS, 1), (MOST_WORKERS_KEPT, 2)])
def test_the_most_workers_leave_room_for_as_many_of_the_next_version_and_no_more_would(
    most: int, versions: int
) -> None:
    workers, _ = make_workers(slots=WORKERS)
    for _ in range(versions * most):
        workers.allocate()
    assert workers.has_room(most)
    for _ in range(versions):
        workers.allocate()
    assert not workers.has_room(most + 1)
