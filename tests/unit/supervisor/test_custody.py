"""
One holder for each connection.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotwhisk.supervisor.custody import Custody

NUMBERS = st.integers(0, 5)
MOVES = st.tuples(st.sampled_from(["give", "wait", "park", "lend", "forget"]), NUMBERS, NUMBERS)


def move(custody: Custody, how: str, number: int, worker: int) -> None:
    if how == "give":
        custody.give(number, worker)
    elif how in ("wait", "park"):
        custody.wait(number, parked=how == "park")
    elif how == "lend":
        custody.lend(number)
    else:
        custody.forget(number)


@given(st.lists(MOVES))
def test_a_connection_is_where_it_was_put_last_and_nowhere_else(
    moves: list[tuple[str, int, int]],
) -> None:
    custody = Custody()
    last: dict[int, tuple[str, int]] = {}
    for how, number, worker in moves:
        move(custody, how, number, worker)
        last[number] = (how, worker)
    there = {number: what for number, what in last.items() if what[0] != "forget"}
    assert len(custody) == len(there)
    for number in range(6):
        how, worker = there.get(number, ("", 0))
        assert (number in custody) is bool(how)
        assert custody.holder(number) == (worker if how == "give" else None)
        assert (number in custody.waiting) is (how == "wait")
        assert (number in custody.parked) is (how == "park")
        assert (number in custody.lent) is (how == "lend")
    for worker in range(6):
        held = {number for number, what in there.items() if what == ("give", worker)}
        assert custody.held(worker) == held
        assert custody.load(worker) == len(held)


def test_what_waits_waits_in_the_order_it_came() -> None:
    custody = Custody()
    for number in (3, 1, 2):
        custody.wait(number)
    custody.wait(3)
    assert list(custody.waiting) == [1, 2, 3]


def test_a_buried_worker_leaves_nothing() -> None:
    custody = Custody()
    custody.give(1, 7)
    custody.forget(1)
    custody.bury(7)
    assert custody.held(7) == frozenset()


def test_nobody_is_buried_with_connections() -> None:
    custody = Custody()
    custody.give(1, 7)
    with pytest.raises(AssertionError, match="worker 7 was buried with connections"):
        custody.bury(7)
