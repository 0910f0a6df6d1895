"""Show what a server counted of its requests: a row for each generation, for ``status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hotwhisk.cli.terminal import show_table

if TYPE_CHECKING:
    from collections.abc import Mapping

TITLE = "requests by generation, times in ms"
COLUMNS = {
    "requests": "requests",
    "rate": "per s",
    "error": "errors",
    "died": "died",
    "timed_out": "late",
    "refused": "refused",
    "p50_ms": "p50",
    "p95_ms": "p95",
    "p99_ms": "p99",
}
"""Keys of a row, and what stands over them. The rate is computed here."""

MOST_ROWS = 6

Row = dict[str, object]


class RequestCounts:
    """
    The counts of requests in an ``answer`` of the server.

    With those of an ``earlier`` answer, rates are those of the time between both.
    """

    def __init__(self, answer: Mapping[str, object], earlier: RequestCounts | None = None) -> None:
        counts = answer.get("counts")
        given = counts if isinstance(counts, list) else []
        self.rows: list[Row] = [each for each in given if isinstance(each, dict)]
        self.uptime = _number(answer.get("uptime"))
        generation = answer.get("generation")
        self._current = generation.get("number") if isinstance(generation, dict) else None
        self._current_for = _number(answer.get("current_for"))
        self._earlier = earlier

    def lines(self) -> list[str]:
        """Return the lines of the table; none if the server does not count, or had no request."""
        rows = [row for row in self.rows if row.get("requests") or row is self._current_row()]
        if not any(row.get("requests") for row in rows):
            return []
        cells = [["generation", *COLUMNS.values()]]
        for row in rows[:MOST_ROWS]:
            values: Row = {**row, "rate": self._rate(row)}
            cells.append([_name(row), *(_cell(key, values.get(key)) for key in COLUMNS)])
        lines = show_table(cells, align=">")
        if len(rows) > MOST_ROWS:
            lines.append(f"  … {len(rows) - MOST_ROWS} more; --json shows all")
        return ["", TITLE, *lines]

    def _current_row(self) -> Row | None:
        return next((row for row in self.rows if row.get("generation") == self._current), None)

    def _rate(self, row: Row) -> float | None:
        """
        Return how many requests a second were answered since the earlier answer.

        Without one, return the mean since the generation became current; None for the others.
        """
        requests = _number(row.get("requests"))
        if self._earlier is None:
            since = self._current_for if row is self._current_row() else 0.0
            return requests / since if since else None
        since = self.uptime - self._earlier.uptime
        before = sum(
            _number(each.get("requests")) for each in self._earlier.rows if _key(each) == _key(row)
        )
        return max(0.0, requests - before) / since if since > 0 else None


def _key(row: Row) -> tuple[object, object]:
    return row.get("generation"), row.get("earlier")


def _name(row: Row) -> str:
    number = row.get("generation")
    if number == 0:
        return "none"
    return f"1 to {number}" if row.get("earlier") else str(number)


def _cell(key: str, value: object) -> str:
    """Return a value as text. A time has two digits, because it is not known more precisely."""
    if isinstance(value, float):
        digits, whole = (2, 10) if key.endswith("_ms") else (3, 100)
        return f"{value:.{digits}g}" if value < whole else f"{value:.0f}"
    return "-" if value is None else str(value)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
