"""
Who lives, and the desk among them.
"""

from __future__ import annotations

from collections import deque

from hotwhisk.config import MOST_WORKERS
from hotwhisk.ledger import WORKERS
from hotwhisk.supervisor.effects import Effect, Fork
from hotwhisk.supervisor.lifecycle import Event, State
from hotwhisk.supervisor.roster import SLOTS_KEPT, Roster


def roster(slots: int = 4) -> tuple[Roster, deque[Effect]]:
    effects: deque[Effect] = deque()
    return Roster(slots, effects), effects


def test_the_desk_is_there_from_the_first_moment() -> None:
    workers, effects = roster()
    assert list(effects) == [Fork(workers.desk)]
    assert workers[workers.desk].state is State.BLANK


def test_a_desk_that_dies_is_replaced_at_once() -> None:
    workers, effects = roster()
    first = workers.desk
    assert workers.bury(first).slot == first
    assert workers.desk != first
    assert list(effects) == [Fork(first), Fork(workers.desk)]


def test_a_desk_that_became_a_worker_lives_on() -> None:
    workers, _ = roster()
    first = workers.desk
    assert workers.step(first, Event.LOAD)
    workers[first].generation = 3
    workers.renew_desk()
    assert set(workers.workers) == {first, workers.desk}
    workers.bury(first)
    assert set(workers.workers) == {workers.desk}


def test_an_event_without_meaning_changes_nothing() -> None:
    workers, _ = roster()
    assert not workers.step(workers.desk, Event.READY)
    assert workers[workers.desk].state is State.BLANK


def test_slots_are_used_again_the_longest_free_first() -> None:
    workers, _ = roster(slots=3)
    seen = []
    for _ in range(7):
        seen.append(workers.desk)
        workers.bury(workers.desk)
    assert seen == [0, 1, 2, 0, 1, 2, 0]


def test_the_workers_of_a_generation_by_state() -> None:
    workers, _ = roster()
    slots = []
    for event in (None, Event.READY, Event.FAILED):
        slot = workers.desk
        slots.append(slot)
        workers.step(slot, Event.LOAD)
        workers[slot].generation = 1
        if event:
            workers.step(slot, event)
        workers.renew_desk()
    assert workers.of(1) == slots
    assert workers.of(1, State.SERVING) == [slots[1]]
    assert workers.of(1, State.LOADING, State.DOOMED) == [slots[0], slots[2]]
    assert workers.of(2) == []


def test_a_replacement_leaves_room_for_fresh_workers() -> None:
    workers, _ = roster(slots=SLOTS_KEPT + 3)
    assert workers.has_room(1)
    workers.renew_desk()
    assert workers.has_room(1)
    workers.renew_desk()
    assert not workers.has_room(1)


def test_the_most_workers_leave_room_for_as_many_of_the_next_version_and_no_more_would() -> None:
    workers, _ = roster(slots=WORKERS)
    for _ in range(MOST_WORKERS):
        workers.enlist()
    assert workers.has_room(MOST_WORKERS)
    workers.enlist()
    assert not workers.has_room(MOST_WORKERS + 1)
