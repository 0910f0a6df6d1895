"""Each connection has one owner."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotwhisk.supervisor.dispatcher import Owners, Queue

NUMBERS = st.integers(0, 5)
MOVES = st.tuples(st.sampled_from(["give", "wait", "park", "lend", "forget"]), NUMBERS, NUMBERS)


def move(owners: Owners, how: str, number: int, worker: int) -> None:
    if how == "give":
        owners.move(number, worker)
    elif how in ("wait", "park"):
        owners.move(number, Queue.PARKED if how == "park" else Queue.WAITING)
    elif how == "lend":
        owners.move(number, Queue.INIT_PENDING)
    else:
        owners.remove(number)


@given(st.lists(MOVES))
def test_a_connection_is_where_it_was_put_last_and_nowhere_else(
    moves: list[tuple[str, int, int]],
) -> None:
    owners = Owners()
    last: dict[int, tuple[str, int]] = {}
    for how, number, worker in moves:
        move(owners, how, number, worker)
        last[number] = (how, worker)
    there = {number: what for number, what in last.items() if what[0] != "forget"}
    assert len(owners) == len(there)
    for number in range(6):
        how, worker = there.get(number, ("", 0))
        assert (number in owners) is bool(how)
        assert owners.owner(number) == (worker if how == "give" else None)
        assert (number in owners.waiting) is (how == "wait")
        assert (number in owners.parked) is (how == "park")
        assert (number in owners.init_pending) is (how == "lend")
    for worker in range(6):
        held = {number for number, what in there.items() if what == ("give", worker)}
        assert owners.owned(worker) == held
        assert owners.count(worker) == len(held)


def test_what_waits_waits_in_the_order_it_came() -> None:
    owners = Owners()
    for number in (3, 1, 2):
        owners.move(number, Queue.WAITING)
    owners.move(3, Queue.WAITING)
    assert list(owners.waiting) == [1, 2, 3]


def test_a_removed_worker_leaves_nothing() -> None:
    owners = Owners()
    owners.move(1, 7)
    owners.remove(1)
    owners.remove_worker(7)
    assert owners.owned(7) == frozenset()


def test_a_worker_with_connections_is_not_removed() -> None:
    owners = Owners()
    owners.move(1, 7)
    with pytest.raises(AssertionError, match="worker 7 was removed with connections"):
        owners.remove_worker(7)


def test_the_connections_of_a_worker_are_in_the_order_in_which_it_got_them() -> None:
    owners = Owners()
    for number in (3, 1, 2, 3):
        owners.move(number, 7)
    assert list(owners.owned(7)) == [1, 2, 3]
