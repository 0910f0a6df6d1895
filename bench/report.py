"""Rows of the table: the measurement, its bar, and whether it is met."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """A limit: at most ``most``, or at least; ``unit`` follows the number."""

    limit: float
    unit: str = "×"
    most: bool = True

    def __str__(self) -> str:
        return f"{'≤' if self.most else '≥'} {self.limit:g} {self.unit}"

    def met(self, value: float) -> bool:
        return value <= self.limit if self.most else value >= self.limit


@dataclass(frozen=True)
class Row:
    """One line of the table. ``values`` are per round; the median counts."""

    name: str
    values: Sequence[float]
    bar: Bar | None
    unit: str
    detail: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def verdict(self) -> str:
        if self.bar is None:
            return "stated"
        return "met" if self.bar.met(self.median) else "MISSED"

    def line(self) -> str:
        spread = f"{min(self.values):.3g} … {max(self.values):.3g}"
        bar = str(self.bar) if self.bar else "–"
        measured = f"{self.median:.3g} {self.unit}"
        return (
            f"{self.name:44} {bar:>10} {measured:>11}  {spread:16} {self.verdict:7} {self.detail}"
        )

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "bar": str(self.bar) if self.bar else None,
            "median": self.median,
            "values": list(self.values),
            "unit": self.unit,
            "verdict": self.verdict,
            "detail": self.detail,
        }


HEADER = f"{'':44} {'bar':>10} {'measured':>11}  {'spread':16} verdict"


def interleave(
    rounds: int, one: Callable[[], float], other: Callable[[], float]
) -> tuple[list[float], list[float]]:
    """Measure A B, B A, A B …, so that a drift of the machine affects both."""
    ones, others = interleave_all(rounds, [one, other])
    return ones, others


def interleave_all(rounds: int, functions: Sequence[Callable[[], float]]) -> list[list[float]]:
    """Measure A B C, C B A, A B C …; return the values of each."""
    taken: list[list[float]] = [[] for _ in functions]
    for turn in range(rounds):
        pairs = list(zip(functions, taken, strict=True))
        for function, values in pairs if turn % 2 == 0 else reversed(pairs):
            values.append(function())
    return taken


def ratio_row(
    name: str, bar: Bar | None, ours: Sequence[float], theirs: Sequence[float], shown: str
) -> Row:
    """Return a row of the ratios of each round; ``shown`` is a template for both medians."""
    ratios = [our / their for our, their in zip(ours, theirs, strict=True)]
    detail = shown.format(statistics.median(ours), statistics.median(theirs))
    return Row(name, ratios, bar, "×", detail)
