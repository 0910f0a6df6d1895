"""The shared table: each value is where it was put, and nowhere else."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hotwhisk.ipc.scoreboard import LATEST, MOST_BYTES, WORKERS, CloseAfter, Phase, Row, Scoreboard

CAPACITY = 5
SLOTS = (0, 1, WORKERS - 1)
NUMBERS = st.integers(0, CAPACITY - 1)
SLOT = st.sampled_from(SLOTS)
SECONDS = st.floats(0, LATEST)
WORD = st.integers(0, MOST_BYTES)
EMPTY: dict[str, Any] = {
    "since": 0.0, "budget": 0.0, "sent": 0, "answer": 0, "spill": 0, "spilled": 0,
    "close_after": CloseAfter.NO, "ended": 0,
}  # fmt: skip


class Writers(RuleBasedStateMachine):
    """Every writer, in any order, beside a plain model."""

    def __init__(self) -> None:
        super().__init__()
        self.scoreboard = Scoreboard(CAPACITY)
        self.flags = {"timer_on": False, "notify_close": False}
        self.recalls = dict.fromkeys(SLOTS, 0)
        self.claims = dict.fromkeys(SLOTS, -1)
        self.phases = [Phase.FREE] * CAPACITY
        self.rows = [dict(EMPTY) for _ in range(CAPACITY)]

    @rule(which=st.sampled_from(["timer_on", "notify_close"]), on=st.booleans())
    def flag(self, which: str, on: bool) -> None:
        setattr(self.scoreboard, which, on)
        self.flags[which] = on

    @rule(slot=SLOT)
    def recall(self, slot: int) -> None:
        self.scoreboard.raise_recalls(slot)
        self.recalls[slot] += 1

    @rule(slot=SLOT, number=NUMBERS)
    def claim(self, slot: int, number: int) -> None:
        self.scoreboard.words[self.scoreboard.claim_word(slot)] = number + 1
        self.claims[slot] = number

    @rule(slot=SLOT)
    def unclaim(self, slot: int) -> None:
        self.scoreboard.unclaim(slot)
        self.claims[slot] = -1

    @rule(number=NUMBERS, phase=st.sampled_from(Phase))
    def set_phase(self, number: int, phase: Phase) -> None:
        self.scoreboard.set_phase(number, phase)
        self.phases[number] = phase

    @rule(number=NUMBERS)
    def open(self, number: int) -> None:
        self.scoreboard.begin_connection(number)
        self.phases[number], self.rows[number] = Phase.IDLE, dict(EMPTY)

    @rule(number=NUMBERS, since=SECONDS, budget=SECONDS, sent=WORD)
    def handling(self, number: int, since: float, budget: float, sent: int) -> None:
        self.scoreboard.set_running(number, since, budget, sent)
        self.phases[number] = Phase.RUNNING
        self.rows[number].update(since=since, budget=budget, sent=sent, answer=0)

    @rule(number=NUMBERS, sent=WORD, length=WORD)
    def answering(self, number: int, sent: int, length: int) -> None:
        self.scoreboard.set_responding(number, sent, length)
        self.phases[number] = Phase.RESPONDING
        self.rows[number].update(sent=sent, answer=length)

    @rule(number=NUMBERS, since=SECONDS)
    def lingering(self, number: int, since: float) -> None:
        self.scoreboard.set_lingering(number, since)
        self.phases[number] = Phase.LINGERING
        self.rows[number].update(since=since)

    @rule(number=NUMBERS, last=st.sampled_from(CloseAfter))
    def set_last(self, number: int, last: CloseAfter) -> None:
        self.scoreboard.set_close(number, last)
        self.rows[number]["close_after"] = last

    @rule(number=NUMBERS, streams=st.integers(0, 3))
    def ended(self, number: int, streams: int) -> None:
        self.scoreboard.set_sentinels(number, streams)
        self.rows[number]["ended"] = streams

    @rule(number=NUMBERS, spill=WORD, length=WORD)
    def spilled(self, number: int, spill: int, length: int) -> None:
        self.scoreboard.set_spill(number, spill, length)
        self.rows[number].update(spill=spill, spilled=length)

    @invariant()
    def everything_is_where_it_was_put(self) -> None:
        scoreboard = self.scoreboard
        assert {name: getattr(scoreboard, name) for name in self.flags} == self.flags
        assert {slot: scoreboard.recalls(slot) for slot in SLOTS} == self.recalls
        assert {slot: scoreboard.claimed(slot) for slot in SLOTS} == self.claims
        assert [scoreboard.phase(number) for number in range(CAPACITY)] == self.phases
        assert [scoreboard.row(number) for number in range(CAPACITY)] == [
            Row(**row) for row in self.rows
        ]
        for phase in Phase:
            assert scoreboard.in_phase(phase) == [
                number for number, each in enumerate(self.phases) if each is phase
            ]


TestWriters = Writers.TestCase
TestWriters.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


@given(st.integers(1, 200))
def test_the_last_connection_fits(capacity: int) -> None:
    scoreboard = Scoreboard(capacity)
    scoreboard.set_spill(capacity - 1, 1, 2)
    scoreboard.set_close(capacity - 1, CloseAfter.REQUESTED)
    scoreboard.set_phase(capacity - 1, Phase.CLOSED)
    assert scoreboard.in_phase(Phase.CLOSED) == [capacity - 1]
    assert scoreboard.row(capacity - 1).close_after is CloseAfter.REQUESTED
    with pytest.raises(Exception, match=r"index out of range|out of bounds|requires a buffer"):
        scoreboard.row(capacity)


def test_recalls_begin_again_after_the_last_number() -> None:
    scoreboard = Scoreboard(1)
    scoreboard._recalls[0] = 2**32 - 1
    assert scoreboard.recalls(0) == 2**32 - 1
    scoreboard.raise_recalls(0)
    assert scoreboard.recalls(0) == 0
    assert scoreboard.claimed(0) == -1


def test_what_a_child_wrote_outlives_it() -> None:
    scoreboard = Scoreboard(3)
    scoreboard.begin_connection(2)
    child = os.fork()
    if not child:
        scoreboard.words[scoreboard.claim_word(7)] = 2 + 1
        scoreboard.set_running(2, 1.5, 60.0, 0)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert scoreboard.claimed(7) == 2
    assert scoreboard.phase(2) is Phase.RUNNING
    assert scoreboard.row(2).budget == 60.0


@given(st.binary(min_size=64, max_size=64), st.integers(0, 255))
def test_whatever_a_row_holds_is_read_within_bounds(scribbled: bytes, phase: int) -> None:
    scoreboard = Scoreboard(1)
    scoreboard._map[scoreboard._rows : scoreboard._rows + 64] = scribbled
    scoreboard.set_phase(0, phase)
    row = scoreboard.row(0)
    assert 0 <= row.since <= LATEST
    assert row.budget >= 0
    assert 0 <= row.sent + row.answer < 2**64
    assert row.close_after in CloseAfter
    assert 0 <= row.ended <= 3
    assert scoreboard.phase(0) in Phase
    scoreboard.set_responding(
        0, scoreboard.sent(0), MOST_BYTES - 1
    )  # what a worker and the supervisor do


@pytest.mark.parametrize("number", [float("nan"), float("-inf"), -1.0])
def test_a_time_and_a_budget_that_are_none_are_over(number: float) -> None:
    scoreboard = Scoreboard(1)
    scoreboard.set_running(0, number, number, 0)
    row = scoreboard.row(0)
    assert (row.since, row.budget) == (0.0, 0.0)
    scoreboard.set_running(0, float("inf"), float("inf"), 0)
    row = scoreboard.row(0)
    assert (row.since, row.budget) == (0.0, float("inf"))


def test_what_the_supervisor_alone_writes_it_does_not_read_back() -> None:
    scoreboard = Scoreboard(1)
    scoreboard.raise_recalls(3)
    scoreboard.timer_on = True
    scoreboard._map[: scoreboard._phases] = bytes(scoreboard._phases)  # a worker scribbles
    assert scoreboard.recalls(3) == 1
    assert scoreboard.timer_on_here
    scoreboard.raise_recalls(3)
    assert scoreboard.words[scoreboard.recall_word(3)] == 2, (
        "the worker cannot follow the next recall"
    )
