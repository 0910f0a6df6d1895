"""
Turn the counts of requests into metrics, by generation.

A count can become smaller: an answer is counted when it is made, and as another kind if it did not
reach its client whole. A reader takes a smaller count for a restart of the server. So no value is
smaller than the one that was shown before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from hotwhisk.ipc.counters import AnswerKind
from hotwhisk.server.openmetrics import Distribution, Family, Labels, counter, histogram

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BOUNDS = tuple(2.0**power for power in range(-15, 7))
"""Seconds, from 31 µs to 64 s. Each is the limit of a counted duration, so buckets are exact."""

BUCKETS = tuple((bound, str(bound)) for bound in (*BOUNDS, float("inf")))
"""All bounds with their names, the last for the durations beyond them."""

ROUNDED = 1.0001
"""By what factor a limit in the status may be above the exact one."""

EARLIER = "earlier"
"""The label of the sum of the generations that are not kept one by one."""


class RequestMetrics:
    """The metrics of requests. They only grow."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, ...], int] = {}
        self._shown: dict[tuple[str, ...], int] = {}

    def collect(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Family]:
        """Yield the metrics of all generations, each ``row`` as `server.status.counts` has it."""
        self._before, self._shown = self._shown, {}
        found = [({"generation": _name(row)}, row) for row in rows]
        yield counter(
            "http_requests",
            "Requests by version and by what came of them",
            [
                ({**labels, "kind": str(kind)}, self._grown(labels, str(kind), row[kind]))
                for labels, row in found
                for kind in AnswerKind
            ],
        )
        yield histogram(
            "http_request_duration_seconds",
            "Time from when the action has a request until its answer is made",
            [(labels, self._durations(labels, row)) for labels, row in found],
        )
        for name, key, meaning in (
            ("http_request_bytes", "bytes_in", "Bytes of requests, with their heads"),
            ("http_response_bytes", "bytes_out", "Bytes of answers, with their heads"),
        ):
            values = [(labels, self._grown(labels, key, row[key])) for labels, row in found]
            yield counter(name, meaning, values)

    def _durations(self, labels: Labels, row: Mapping[str, Any]) -> Distribution:
        durations: list[tuple[float, int]] = row["durations"]  # the shortest first
        buckets, so_far, at = [], 0, 0
        for bound, text in BUCKETS:
            while at < len(durations) and durations[at][0] <= bound * ROUNDED:
                so_far += durations[at][1]
                at += 1
            buckets.append((bound, self._grown(labels, text, so_far)))
        _, count = buckets.pop()
        return Distribution(buckets, count, row["busy"])

    def _grown(self, labels: Labels, what: str, value: int) -> int:
        """Return a value, or the one that was shown before if that is larger."""
        key = (*labels.values(), what)
        self._shown[key] = value = max(value, self._before.get(key, 0))
        return value


def _name(row: Mapping[str, Any]) -> str:
    return EARLIER if row.get("earlier") else str(row["generation"])
