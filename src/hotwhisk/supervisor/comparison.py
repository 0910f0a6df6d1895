"""
Compare what was counted of two versions, and find whether the later one is worse.

Pure. Three things are compared: how many requests failed, how many took long, and how many workers
died in a handler. For each, the question is the same: if both versions were equal, how likely would
so many be with the later one? Fisher's exact test answers it, one-sided. It takes the number of
failures of both versions as given, and asks which version chance alone would give them to. It is
exact for small numbers too, where the usual approximations find differences that do not exist.

The versions are compared again and again, and each look is one more chance to be wrong. So look k
may be wrong with a likelihood of only ``BOUND / (k * (k + 1))``. The sum over all looks, however
many, is `BOUND`. There is a further look only when a tenth more requests were counted. So there are
few looks, and a fault is still found within some hundred requests.

The 95th percentile of few requests is a random number. So it is not compared by itself. A request
is slow if it took longer than `FACTOR` times the 95th percentile of the version before. If more
than one request of 20 is slow, the 95th percentile is beyond that factor; and the test says whether
chance explains it.
"""

from __future__ import annotations

from math import exp, lgamma

from hotwhisk.ipc.counters import AnswerKind, Counts, lower_bound
from hotwhisk.record import Record

BOUND = 1e-4
"""How likely it is at most, over all looks, that an equal version is found to be worse."""

LEAST_REQUESTS = 20
"""Requests that each version must have answered before they are compared."""

LEAST_RUNS = 100
"""Runs for each worker before durations are compared: the first ones in a process are slow."""

FACTOR = 2.0
"""A request is slow if it took so many times the 95th percentile of the version before."""

SHORTEST_SLOW = 0.01
"""Seconds. A shorter request is not slow: a busy machine alone delays any request by some ms."""

DEATHS = 2
"""So many deaths in handlers are a fault, if the version before had none."""

MOST_TERMS = 10_000
"""Most terms of a sum. Only counts into which an action has written need more."""


class Figures(Record):
    """
    What is compared of one version: requests that were not refused, those of them that failed, and
    the workers that died in a handler. ``durations`` are the runs by the index of their duration,
    ``p95`` is their 95th percentile in seconds, None if there was no run.
    """

    requests: int = 0
    failed: int = 0
    deaths: int = 0
    durations: tuple[int, ...] = ()
    p95: float | None = None

    @classmethod
    def of_counts(cls, counts: Counts, deaths: int) -> Figures:
        """Return the figures of a version from its counts and its ``deaths`` in handlers."""
        kinds = counts.by_kind()
        requests = sum(kinds.values()) - kinds[AnswerKind.REFUSED]
        failed = requests - kinds[AnswerKind.OK]
        durations = tuple(counts.durations())
        return cls(requests, failed, min(deaths, requests), durations, counts.percentile(0.95))

    def slower_than(self, seconds: float) -> int:
        """Return how many runs took at least so many seconds."""
        found = enumerate(self.durations)
        return sum(count for index, count in found if count and lower_bound(index) >= seconds)

    def json_values(self) -> dict[str, object]:
        """Return the figures as values that JSON can hold."""
        p95 = None if self.p95 is None else float(f"{1000 * self.p95:.4g}")
        return {
            "requests": self.requests,
            "failed": self.failed,
            "deaths": self.deaths,
            "p95_ms": p95,
        }

    def __str__(self) -> str:
        p95 = "" if self.p95 is None else f", p95 {_milliseconds(self.p95)}"
        deaths = f", {self.deaths} died in a handler" if self.deaths else ""
        return f"{self.requests} requests, {self.failed} failed{deaths}{p95}"


class Comparison:
    """The looks at one version, whose least number of workers is ``workers``."""

    def __init__(self, workers: int = 1) -> None:
        self._least_runs = LEAST_RUNS * workers
        self._looks = 0
        self._next = LEAST_REQUESTS
        """The number of requests at which the next look comes."""

    def find_fault(self, after: Figures, before: Figures) -> str:
        """Return in what a version is worse than the one before it; empty if in nothing."""
        if before.requests < LEAST_REQUESTS:
            return ""
        if after.deaths >= DEATHS and not before.deaths:
            return _deaths(after, before)
        if after.requests < self._next:
            return ""
        self._next = after.requests + max(1, after.requests // 10)
        self._looks += 1
        bound = BOUND / 3 / (self._looks * (self._looks + 1))  # there are three tests
        failed = (after.failed, after.requests), (before.failed, before.requests)
        if is_beyond_chance(*failed, bound):
            return (
                f"{after.failed} of {after.requests} requests failed, "
                f"{before.failed} of {before.requests} before"
            )
        died = (after.deaths, after.requests), (before.deaths, before.requests)
        if after.deaths >= DEATHS and is_beyond_chance(*died, bound):
            return _deaths(after, before)
        return self._find_slowness(after, before, bound)

    def _find_slowness(self, after: Figures, before: Figures, bound: float) -> str:
        all_after, all_before = sum(after.durations), sum(before.durations)
        if min(all_after, all_before) < self._least_runs or not after.p95 or not before.p95:
            return ""
        limit = max(FACTOR * before.p95, SHORTEST_SLOW)
        slow = after.slower_than(limit)
        if 20 * slow <= all_after:
            return ""
        if not is_beyond_chance((slow, all_after), (before.slower_than(limit), all_before), bound):
            return ""
        return (
            f"95 of 100 requests took up to {_milliseconds(after.p95)}, "
            f"{_milliseconds(before.p95)} before"
        )


def is_beyond_chance(after: tuple[int, int], before: tuple[int, int], bound: float) -> bool:
    """
    Return whether the likelihood that chance explains what was counted is at most ``bound``.

    ``after`` and ``before`` are each a number of requests with a property, and of all requests.
    This is Fisher's exact test: the sum of the hypergeometric distribution from ``after`` upwards.
    """
    (found, requests), (found_before, requests_before) = after, before
    if found * requests_before <= found_before * requests:
        return False  # no larger share than before
    total, found_total = requests + requests_before, found + found_before
    others = total - found_total
    logarithm = (
        _log_choices(found_total, found)
        + _log_choices(others, requests - found)
        - _log_choices(total, requests)
    )
    term, likelihood = exp(min(0.0, logarithm)), 0.0
    for number in range(found, found + MOST_TERMS):
        likelihood += term
        if likelihood > bound:
            return False
        more = (found_total - number) * (requests - number)
        ratio = more / ((number + 1) * (others - requests + number + 1))
        # The ratios fall, so a geometric series is an upper bound of the rest.
        if ratio < 1 and likelihood + term * ratio / (1 - ratio) <= bound:
            return True
        term *= ratio
    return False


def _log_choices(total: int, chosen: int) -> float:
    """Return the logarithm of the number of ways to choose some of a total."""
    return lgamma(total + 1) - lgamma(chosen + 1) - lgamma(total - chosen + 1)


def _deaths(after: Figures, before: Figures) -> str:
    return (
        f"{after.deaths} workers died in a handler in {after.requests} requests, "
        f"{before.deaths} in {before.requests} before"
    )


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms"
