"""Which versions are found to be worse: by exact sums, by simulated requests, by single cases."""

from __future__ import annotations

import random
from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotwhisk.ipc.counters import DURATION_WORDS, EXPONENT, Counts
from hotwhisk.supervisor.comparison import (
    BOUND,
    DEATHS,
    LEAST_REQUESTS,
    LEAST_RUNS,
    SHORTEST_SLOW,
    Comparison,
    Figures,
    is_beyond_chance,
)

FAST, SLOW, SLOWER = 0.02, 0.1, 0.9
"""Seconds of runs. The second is beyond twice the first, the third beyond twice the second."""


def index_of(seconds: float) -> int:
    """Return the index of a duration, by counting up."""
    index = 4 * -EXPONENT - 60
    while 2.0 ** (index // 4 + EXPONENT) * (1 + (index % 4 + 1) / 4) <= seconds:
        index += 1
    assert index < DURATION_WORDS
    return index


def counts(ok: int = 0, failed: int = 0, seconds: float = FAST, died: int = 0) -> Counts:
    """Return counts of runs that all took the same time."""
    made = Counts()
    made.results[index_of(seconds)] = ok
    made.errors[index_of(seconds)] = failed
    made.died = died
    return made


def figures(ok: int = 0, failed: int = 0, deaths: int = 0, seconds: float = FAST) -> Figures:
    return Figures.of_counts(counts(ok, failed, seconds, deaths), deaths)


def mixed(*runs: tuple[int, float]) -> Figures:
    """Return figures of results: numbers of them, each with its seconds."""
    made = Counts()
    for number, seconds in runs:
        made.add(counts(number, seconds=seconds))
    return Figures.of_counts(made, 0)


GOOD = figures(1000)


# -- the test itself


@given(
    st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.sampled_from([0.3, 0.05, 1e-3, 1e-6]),
)
def test_the_sum_is_that_of_the_hypergeometric_distribution(
    after: tuple[int, int], before: tuple[int, int], bound: float
) -> None:
    (found, requests), (found_before, requests_before) = after, before
    total, found_total = requests + requests_before, found + found_before
    tail = sum(
        Fraction(comb(found_total, each) * comb(total - found_total, requests - each))
        for each in range(found, min(requests, found_total) + 1)
    ) / comb(total, requests)
    if abs(float(tail) - bound) > 1e-9 * bound:
        more = found * requests_before > found_before * requests
        assert is_beyond_chance(after, before, bound) is (more and tail <= bound)


@pytest.mark.parametrize("scale", [1, 10**3, 10**6, 10**12, 2**53])
def test_any_counts_are_judged_without_an_error(scale: int) -> None:
    """An action can write into its counts, so they may be anything."""
    for found, before in ((0, 0), (1, 0), (scale, 0), (0, scale), (scale, scale)):
        is_beyond_chance((found, scale), (before, scale), BOUND)
        is_beyond_chance((found, scale), (before, 2 * scale), BOUND)
    assert scale < 100 or is_beyond_chance((scale // 10, scale), (0, scale), BOUND)


# -- simulated probations


class Simulation:
    """Two versions and their requests, which come in steps of random length."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.deaths = [0, 0]
        self.counts = [Counts(), Counts()]
        weights = [self.random.choice((90, 95, 96, 50)), self.random.choice((0, 4, 5, 6)), 1]
        self._weights = weights
        self._places = [index_of(each) for each in (FAST, SLOW, SLOWER)]

    def answer(self, version: int, requests: int, failing: float) -> None:
        """Answer so many requests, a share of which fail."""
        made = self.counts[version]
        for place in self.random.choices(self._places, self._weights, k=requests):
            failed = self.random.random() < failing
            (made.errors if failed else made.results)[place] += 1

    def run(self, before: int, most: int, failing: tuple[float, float]) -> tuple[str, int]:
        """Compare until a fault is found, or there were ``most`` requests; return both."""
        self.answer(0, before, failing[0])
        comparison, requests, fault = Comparison(), 0, ""
        while requests < most and not fault:
            step = min(self.random.randint(1, 60), most - requests)
            self.answer(1, step, failing[1])
            requests += step
            after, earlier = (Figures.of_counts(self.counts[each], 0) for each in (1, 0))
            fault = comparison.find_fault(after, earlier)
        return fault, requests


@pytest.mark.slow
def test_a_version_without_a_difference_passes_a_thousand_probations() -> None:
    wrong = []
    for seed in range(1000):
        simulation = Simulation(seed)
        failing = simulation.random.choice((0.0, 0.001, 0.02, 0.1, 0.5))
        before = simulation.random.choice((30, 100, 400, 2000))
        fault, _ = simulation.run(before, 500, (failing, failing))
        wrong += [(seed, fault)] if fault else []
    assert not wrong


@pytest.mark.slow
def test_a_fault_in_one_of_ten_requests_is_found_within_some_hundred() -> None:
    needed = []
    for seed in range(200):
        fault, requests = Simulation(seed).run(1000, 400, (0.0, 0.1))
        assert "failed" in fault
        needed.append(requests)
    assert sum(needed) / len(needed) < 150
    assert sum(each <= 250 for each in needed) >= 198


# -- single cases


def test_few_requests_show_nothing() -> None:
    comparison = Comparison()
    assert comparison.find_fault(figures(0, LEAST_REQUESTS - 1), GOOD) == ""
    assert comparison.find_fault(figures(0, LEAST_REQUESTS), GOOD)
    assert Comparison().find_fault(figures(0, 500), figures(LEAST_REQUESTS - 1)) == ""


def test_the_text_has_the_figures_of_both() -> None:
    fault = Comparison().find_fault(figures(90, 10), figures(998, 2))
    assert fault == "10 of 100 requests failed, 2 of 1000 before"


def test_what_the_version_before_did_as_well_is_no_fault() -> None:
    assert Comparison().find_fault(figures(90, 10), figures(900, 100)) == ""
    assert Comparison().find_fault(figures(100), figures(0, 1000)) == ""


def test_requests_that_were_refused_are_no_failures() -> None:
    refused = counts(100)
    refused.refused = 500
    assert Figures.of_counts(refused, 0) == figures(100)


def test_late_answers_and_lost_workers_are_failures() -> None:
    late = counts(50)
    late.timed_out = 30
    assert Comparison().find_fault(Figures.of_counts(late, 0), GOOD)
    assert Figures.of_counts(counts(50, died=30), 0).failed == 30


def test_the_second_death_is_a_fault_if_there_was_none_before() -> None:
    comparison = Comparison()
    assert comparison.find_fault(figures(40, deaths=DEATHS - 1), GOOD) == ""
    fault = comparison.find_fault(figures(41, deaths=DEATHS), GOOD)
    assert fault == "2 workers died in a handler in 43 requests, 0 in 1000 before"


def test_deaths_are_no_fault_if_as_many_came_before() -> None:
    before = figures(1000, deaths=20)
    assert Comparison().find_fault(figures(500, deaths=10), before) == ""
    assert "failed" in Comparison().find_fault(figures(100, deaths=30), before)


def test_a_slow_version_is_found() -> None:
    before = mixed((950, FAST), (50, SLOW))
    fault = Comparison().find_fault(mixed((80, FAST), (20, SLOWER)), before)
    assert fault.startswith("95 of 100 requests took up to ")
    assert Comparison().find_fault(mixed((200, SLOW)), mixed((1000, FAST)))


def test_a_version_that_is_slow_now_and_then_is_not() -> None:
    assert Comparison().find_fault(mixed((960, FAST), (40, SLOWER)), mixed((1000, FAST))) == ""


def test_the_first_runs_of_each_worker_may_be_slow() -> None:
    before = mixed((10_000, FAST))
    few = mixed((LEAST_RUNS - 30, FAST), (20, SLOWER))
    many = mixed((2 * LEAST_RUNS, FAST), (20, SLOWER))
    assert Comparison().find_fault(few, before) == ""
    assert Comparison().find_fault(many, before)
    assert Comparison(workers=8).find_fault(many, before) == ""


def test_what_takes_a_few_milliseconds_is_not_slow() -> None:
    before = mixed((1000, SHORTEST_SLOW / 100))
    assert Comparison().find_fault(mixed((1000, SHORTEST_SLOW / 2)), before) == ""
    assert Comparison().find_fault(mixed((1000, SHORTEST_SLOW * 3)), before)


def test_there_is_no_further_look_before_a_tenth_more_requests_came() -> None:
    comparison = Comparison()
    assert comparison.find_fault(figures(400), GOOD) == ""
    assert comparison.find_fault(figures(400, 39), GOOD) == ""
    assert comparison.find_fault(figures(400, 40), GOOD)
