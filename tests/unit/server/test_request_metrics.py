"""Counts of requests become metrics that only grow, with exact buckets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from hotwhisk.ipc.counters import DURATION_WORDS, Counts, upper_bound
from hotwhisk.server.openmetrics import render
from hotwhisk.server.request_metrics import BOUNDS, RequestMetrics

SHORTEST, LONGEST = 60, 60 + 22 * 4


def shown(metrics: RequestMetrics, *rows: dict[str, Any]) -> dict[str, float]:
    """Return the samples, each by its name and the values of its labels."""
    text = render(metrics.collect(rows)).decode()
    families: Any = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    return {
        " ".join((sample.name, *sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def row(generation: int, counts: Counts, **others: object) -> dict[str, Any]:
    return {"generation": generation, **counts.json_values(), **others}


def test_every_kind_of_every_generation_is_shown() -> None:
    counts = Counts()
    counts.refused, counts.died, counts.timed_out, counts.bytes_in = 1, 2, 3, 400
    counts.results[SHORTEST], counts.errors[LONGEST] = 5, 6
    counts.run_seconds = 7.5
    found = shown(RequestMetrics(), row(22, counts), row(2, counts, earlier=True))
    for generation in ("22", "earlier"):
        kinds = {"ok": 5, "error": 6, "died": 2, "timed_out": 3, "refused": 1}
        for kind, count in kinds.items():
            assert found[f"http_requests_total {generation} {kind}"] == count
        assert found[f"http_request_duration_seconds_count {generation}"] == 11
        assert found[f"http_request_duration_seconds_sum {generation}"] == 7.5
        assert found[f"http_request_bytes_total {generation}"] == 400


@given(st.lists(st.tuples(st.integers(0, DURATION_WORDS - 1), st.integers(0, 9)), max_size=30))
def test_buckets_are_exact(added: list[tuple[int, int]]) -> None:
    counts = Counts()
    for index, count in added:
        counts.results[index] += count
    found = shown(RequestMetrics(), row(1, counts))
    for bound in BOUNDS:
        below = sum(count for index, count in added if upper_bound(index) <= bound)
        assert found[f"http_request_duration_seconds_bucket 1 {bound!r}"] == below
    total = sum(count for _, count in added)
    assert found["http_request_duration_seconds_bucket 1 +Inf"] == total


@pytest.mark.parametrize("bound", BOUNDS)
def test_a_bound_is_the_limit_of_a_counted_duration(bound: float) -> None:
    assert bound in map(upper_bound, range(DURATION_WORDS))


def test_a_count_that_is_taken_back_does_not_become_smaller() -> None:
    metrics, counts = RequestMetrics(), Counts()
    counts.results[SHORTEST] = 5
    assert shown(metrics, row(1, counts))["http_requests_total 1 ok"] == 5
    counts.results[SHORTEST], counts.died = 4, 1
    found = shown(metrics, row(1, counts))
    assert found["http_requests_total 1 ok"] == 5
    assert found["http_requests_total 1 died"] == 1
    assert found["http_request_duration_seconds_count 1"] == 5
    counts.results[SHORTEST] = 6
    assert shown(metrics, row(1, counts))["http_requests_total 1 ok"] == 6


def test_a_generation_that_is_gone_is_forgotten() -> None:
    metrics, counts = RequestMetrics(), Counts()
    shown(metrics, row(1, counts), row(2, counts))
    size = len(metrics._shown)
    shown(metrics, row(2, counts))
    assert len(metrics._shown) == size / 2
