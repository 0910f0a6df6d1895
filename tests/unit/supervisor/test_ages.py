"""Ages on a clock that a frozen container cannot jump."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotwhisk.supervisor.ages import TICK, Ages

HOUR = 3600.0


def test_an_age_grows_with_the_clock() -> None:
    ages = Ages()
    assert ages.update(10.0, [("run", 10.0)]) == {"run": 0.0}
    assert ages.update(10.0 + TICK, [("run", 10.0)]) == {"run": TICK}
    assert ages.update(10.0 + 3 * TICK, [("run", 10.0)]) == {"run": 3 * TICK}


def test_a_frozen_container_expires_nothing() -> None:
    ages = Ages()
    ages.update(10.0, [("run", 10.0)])
    assert ages.update(10.0 + HOUR, [("run", 10.0)]) == {"run": 2 * TICK}
    assert ages.update(10.0 + 2 * HOUR, [("run", 10.0)]) == {"run": 4 * TICK}


def test_what_began_before_the_freeze_and_was_never_seen_is_young() -> None:
    ages = Ages()
    assert ages.update(10.0 + HOUR, [("run", 10.0)]) == {"run": 2 * TICK}


def test_what_begins_after_the_look_is_no_older_than_nothing() -> None:
    assert Ages().update(10.0, [("run", 10.1)]) == {"run": 0.0}


def test_another_beginning_is_another_run() -> None:
    ages = Ages()
    ages.update(10.0, [("run", 10.0)])
    ages.update(10.4, [("run", 10.0)])
    assert ages.update(10.5, [("run", 10.5)]) == {"run": 0.0}


def test_what_ended_is_forgotten() -> None:
    ages = Ages()
    ages.update(10.0, [("run", 10.0), ("load", 9.9)])
    assert ages.update(10.2, []) == {}
    assert ages.update(10.4, [("run", 10.0)])["run"] == pytest.approx(0.4)


def test_rest_is_not_counted() -> None:
    ages = Ages()
    ages.update(10.0, [("run", 10.0)])
    ages.reset()
    assert ages.update(HOUR, [("run", HOUR - 0.1)])["run"] < 0.2
    assert ages.update(HOUR + TICK, [("run", HOUR - 0.1)])["run"] < 0.2 + TICK


@given(st.lists(st.floats(0, HOUR), max_size=20))
def test_an_age_never_exceeds_two_ticks_a_look_nor_the_truth(pauses: list[float]) -> None:
    ages = Ages()
    now = 0.0
    age = ages.update(now, [("run", 0.0)])["run"]
    for pause in pauses:
        now += pause
        before, age = age, ages.update(now, [("run", 0.0)])["run"]
        assert before <= age <= before + 2 * TICK
        assert age <= now + 1e-6
