"""Count calls and errors, and find how long calls take: a bounded look at the last activations."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from hotwhisk.gateway.store.database import Database

MOST_CALLS: Final = 1000
"""The percentiles of an action are those of so many calls, the last ones."""

_COUNTS = """
SELECT package, name, count(*), sum(status <> 0) FROM activations
WHERE namespace = ? AND start >= ? GROUP BY package, name
"""

_DURATIONS = """
SELECT duration FROM activations
WHERE namespace = ? AND package = ? AND name = ? AND start >= ? ORDER BY start DESC LIMIT ?
"""

_POINTS = """
SELECT id, start, duration, init, status, revision FROM activations
WHERE namespace = ? AND name = ? AND package = ? ORDER BY start DESC LIMIT ?
"""

_EVENTS = """
SELECT id, event FROM activations
WHERE namespace = ? AND name = ? AND package = ? ORDER BY start DESC LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class Summary:
    """
    The calls of an action and how many failed.

    Half of the calls took no more milliseconds than ``p50``, and 95 of 100 no more than ``p95``.
    """

    calls: int = 0
    errors: int = 0
    p50: int | None = None
    p95: int | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """
    A call in a plot.

    ``start`` is in milliseconds since the epoch; ``duration`` and ``init`` are milliseconds.
    """

    activation: str
    start: int
    duration: int
    init: int | None
    status: int
    revision: int | None


class Statistics:
    """Figures from the table of activations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def summaries(self, namespace: str, since: int) -> dict[tuple[str, str], Summary]:
        """Return the figures since a time for each package and name that had calls."""
        with self._database.reading() as connection:
            counts = connection.execute(_COUNTS, (namespace, since)).fetchall()
            return {
                (package, name): Summary(
                    calls,
                    errors,
                    *_percentiles(
                        connection.execute(
                            _DURATIONS, (namespace, package, name, since, MOST_CALLS)
                        )
                    ),
                )
                for package, name, calls, errors in counts
            }

    def points(self, key: tuple[str, str, str], most: int) -> list[Point]:
        """Return the last calls of an action, the oldest first; ``key`` as in `Actions`."""
        return [Point(*row) for row in reversed(self._last(_POINTS, key, most))]

    def events(self, key: tuple[str, str, str], most: int) -> list[tuple[str, object]]:
        """Return the last different events of an action, each with an activation that had it."""
        found: dict[str, str] = {}
        for identifier, event in self._last(_EVENTS, key, most * 10):
            found.setdefault(event, identifier)
        return [(identifier, json.loads(event)) for event, identifier in found.items()][:most]

    def _last(self, query: str, key: tuple[str, str, str], most: int) -> list[tuple[Any, ...]]:
        namespace, package, name = key
        with self._database.reading() as connection:
            return connection.execute(query, (namespace, name, package, most)).fetchall()


def _percentiles(rows: Iterable[tuple[int]]) -> tuple[int | None, int | None]:
    durations = sorted(duration for (duration,) in rows)
    if not durations:  # they were removed after they were counted
        return None, None
    last = len(durations) - 1
    return durations[last * 50 // 100], durations[last * 95 // 100]
