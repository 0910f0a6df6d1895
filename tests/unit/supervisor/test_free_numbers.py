"""Which number is taken, and that a few numbers are enough however often one is taken."""

from __future__ import annotations

import pytest

from hotwhisk.supervisor.free_numbers import RESTING, FreeNumbers


def test_each_number_is_taken_once_until_it_is_given_back() -> None:
    free = FreeNumbers(3)
    assert [free.take() for _ in range(3)] == [0, 1, 2]
    assert len(free) == 0
    with pytest.raises(IndexError):
        free.take()
    free.give_back(1)
    assert len(free) == 1
    assert free.take() == 1


def test_the_number_that_was_free_for_longest_is_used_again() -> None:
    free = FreeNumbers(3)
    taken = [free.take() for _ in range(3)]
    for number in (2, 0, 1):
        free.give_back(taken[number])
    assert [free.take() for _ in range(3)] == [2, 0, 1]


def test_one_number_at_a_time_uses_few_of_many() -> None:
    free, seen = FreeNumbers(10_000), []
    for _ in range(10 * RESTING):
        seen.append(free.take())
        free.give_back(seen[-1])
    assert max(seen) == RESTING - 1
    assert all(now not in seen[at + 1 - RESTING : at] for at, now in enumerate(seen) if at)
    assert len(free) == 10_000
