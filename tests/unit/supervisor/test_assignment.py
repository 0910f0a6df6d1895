"""
Which worker gets which connection.
"""

from __future__ import annotations

from collections import deque

import pytest

from hotwhisk.answers import Cause
from hotwhisk.supervisor import assignment as assignments
from hotwhisk.supervisor.assignment import Assignment
from hotwhisk.supervisor.effects import AnswerFor, Debt, Effect, Fork, HandOver, Shut, TakeBack
from hotwhisk.supervisor.lifecycle import Event
from hotwhisk.supervisor.roster import Roster


def same_hand(one: Effect, other: HandOver) -> bool:
    return isinstance(one, HandOver) and (one.worker, one.duty) == (other.worker, other.duty)


class Server:
    """
    Generation 1 with as many workers as asked for; their slots are 0, 1, …
    """

    def __init__(self, workers: int) -> None:
        self.effects: deque[Effect] = deque()
        self.roster = Roster(16, self.effects)
        self.assignment = Assignment(self.roster, self.effects)
        self.custody = self.assignment.custody
        if workers:
            self.assignment.generation, self.assignment.duty = 1, ""
        for _ in range(workers):
            self.recruit()
        self.new()

    def recruit(self) -> int:
        slot = self.roster.desk
        self.roster.step(slot, Event.LOAD)
        self.roster[slot].generation = 1
        self.roster.renew_desk()
        self.roster.step(slot, Event.READY)
        return slot

    def new(self) -> list[Effect]:
        """
        What was decided since; whether in one hand-over or in several is no matter.
        """
        found: list[Effect] = []
        for each in self.effects:
            if isinstance(each, HandOver):
                same = [i for i, one in enumerate(found) if same_hand(one, each)]
                if same:
                    numbers = found[same[0]].numbers + each.numbers  # type: ignore[union-attr]
                    found[same[0]] = HandOver(each.worker, numbers, each.duty)
                    continue
            if not isinstance(each, Fork):
                found.append(each)
        self.effects.clear()
        return found

    def die(self, slot: int, *debts: tuple[int, Debt], cause: Cause = Cause.KILLED) -> bool:
        self.roster.bury(slot)
        return self.assignment.settle(slot, debts, cause, "signal 9")


def test_connections_are_spread_evenly() -> None:
    server = Server(3)
    server.assignment.accepted(range(7))
    handed = {each.worker: each.numbers for each in server.new() if isinstance(each, HandOver)}
    assert handed == {0: (0, 3, 6), 1: (1, 4), 2: (2, 5)}
    server.assignment.accepted([7])
    assert server.new() == [HandOver(1, (7,))]


def test_before_the_first_action_the_desk_answers() -> None:
    server = Server(0)
    server.assignment.accepted([1])
    assert server.new() == [HandOver(server.roster.desk, (1,), Cause.NO_ACTION)]


def test_where_all_hang_connections_wait_a_tick_then_the_desk_reads_them() -> None:
    server = Server(1)
    server.roster.step(0, Event.STUCK)
    server.assignment.accepted([1, 2])
    assert server.new() == []
    server.assignment.leave_to_desk()
    assert server.new() == [HandOver(server.roster.desk, (1, 2))]
    server.assignment.leave_to_desk()
    assert server.new() == []


def test_a_sibling_gets_what_a_stuck_worker_gave_back() -> None:
    server = Server(2)
    server.assignment.accepted([1, 2, 3])
    server.new()
    server.roster.step(0, Event.STUCK)
    server.assignment.taken(0, [(3, False)])
    assert server.new()[-1] == HandOver(1, (3,))
    assert server.custody.held(0) == {1}  # the one in its handler


def test_parked_ones_wait_for_a_worker_and_go_first() -> None:
    server = Server(1)
    server.roster.step(0, Event.STUCK)
    server.assignment.accepted([1, 2])
    server.assignment.leave_to_desk()
    server.assignment.taken(server.roster.desk, [(2, True)])
    server.assignment.leave_to_desk()
    assert list(server.custody.parked) == [2]
    server.new()
    server.assignment.accepted([3])
    server.roster.step(0, Event.RELEASED)
    server.assignment.reopen()
    server.assignment.assign()
    assert server.new() == [TakeBack(server.roster.desk), HandOver(0, (2, 3))]


def test_too_many_parked_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assignments, "PARKED_LIMIT", 1)
    server = Server(1)
    server.roster.step(0, Event.STUCK)
    server.assignment.accepted([1, 2])
    server.assignment.leave_to_desk()
    desk = server.roster.desk
    server.assignment.taken(desk, [(1, True), (2, True)])
    assert server.new()[-1] == AnswerFor(desk, 2, Cause.BUSY, "")
    assert server.custody.holder(2) == desk


def test_what_comes_back_late_is_somebody_elses() -> None:
    server = Server(2)
    server.assignment.accepted([1])
    server.new()
    server.assignment.taken(1, [(1, False)])  # worker 1 never had it
    assert server.new() == []
    assert server.custody.holder(1) == 0


def test_the_busiest_share_with_a_fresh_worker() -> None:
    server = Server(2)
    server.assignment.accepted(range(5))
    server.new()
    server.recruit()
    server.assignment.share_out()
    assert server.new() == [TakeBack(0), TakeBack(1)]


def test_nothing_is_taken_back_from_who_has_nothing() -> None:
    server = Server(1)
    server.assignment.take_back(0)
    assert server.new() == []
    server.assignment.take_back(0, leave=True)
    assert server.new() == [TakeBack(0, leave=True)]


def test_only_what_was_lent_returns() -> None:
    server = Server(1)
    server.assignment.accepted([1])
    server.new()
    server.assignment.returned(1)
    assert server.new() == []
    server.custody.lend(1)
    server.assignment.returned(1)
    assert server.new() == [HandOver(0, (1,))]


def test_debts_of_the_dead() -> None:
    server = Server(1)
    server.assignment.accepted(range(5))
    server.new()
    in_handler = server.die(
        0, (0, Debt.NOTHING), (1, Debt.PARKED), (2, Debt.ANSWER), (3, Debt.LOST), (4, Debt.BROKEN)
    )
    desk = server.roster.desk
    assert in_handler
    assert server.new() == [
        AnswerFor(desk, 2, Cause.KILLED, "signal 9"),
        AnswerFor(desk, 3, Cause.LOST, "signal 9"),
        Shut(4),
    ]
    assert list(server.custody.waiting) == [0]
    assert list(server.custody.parked) == [1]
    assert 4 not in server.custody


def test_a_request_that_was_too_large_to_be_read_is_told_so_and_is_to_blame() -> None:
    server = Server(1)
    server.assignment.accepted([1])
    server.new()
    assert server.die(0, (1, Debt.LOST), cause=Cause.OUT_OF_MEMORY)
    assert server.new() == [AnswerFor(server.roster.desk, 1, Cause.OUT_OF_MEMORY, "signal 9")]


def test_lost_bytes_are_no_death_in_a_handler() -> None:
    server = Server(1)
    server.assignment.accepted([1])
    assert not server.die(0, (1, Debt.LOST))


def test_debts_on_what_others_hold_are_none() -> None:
    server = Server(2)
    server.assignment.accepted([1])
    server.new()
    server.die(1, (1, Debt.ANSWER))
    assert server.new() == []


def test_a_desk_that_dies_owing_leaves_it_to_the_next() -> None:
    server = Server(1)
    server.assignment.accepted([1])
    server.die(0, (1, Debt.ANSWER))
    first = server.roster.desk
    server.new()
    server.die(first, (1, Debt.ANSWER))
    assert server.new() == [AnswerFor(server.roster.desk, 1, Cause.KILLED, "signal 9")]
    assert server.roster.desk != first
