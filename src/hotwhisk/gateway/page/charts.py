"""Work out the geometry of charts; the templates draw them as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hotwhisk.build.import_profile import Import
from hotwhisk.gateway.store.statistics import Point

PLOT_WIDTH: Final = 560
PLOT_HEIGHT: Final = 230
IMPORTS_WIDTH: Final = 1040
_LEFT: Final = 56
_TOP: Final = 14
_BOTTOM: Final = 24
ROW: Final = 22
"""The height of a row of the chart of imports."""

_DEEPEST: Final = 6
_CHARACTER: Final = 7.0
"""The width of a character of a label, about."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a bar, in percent of its width."""

    name: str
    left: float
    width: float
    milliseconds: int


def time_bar(wait: int, init: int | None, duration: int) -> list[Segment]:
    """Return the bar of an activation: how long it waited, was initialised, and ran."""
    parts = (("wait", wait), ("init", init or 0), ("run", max(0, duration - (init or 0))))
    total = max(1, sum(value for _, value in parts))
    segments = []
    left = 0.0
    for name, value in parts:
        width = 100 * value / total
        segments.append(Segment(name, left, width, value))
        left += width
    return segments


@dataclass(frozen=True, slots=True)
class Dot:
    """
    The init or the run of a call in the plot: its place, its kind, when it was, how long it took.

    The kind is ``run``, ``init``, or ``error`` for a run that failed.
    """

    x: float
    y: float
    kind: str
    point: Point
    milliseconds: int


@dataclass(frozen=True, slots=True)
class Plot:
    """
    The times of calls, the oldest at the left, on a scale of powers of ten.

    ``grid`` has the heights of lines and their milliseconds, ``changes`` where another version
    began. ``first`` and ``last`` are when the calls were, in milliseconds since the epoch.
    """

    dots: tuple[Dot, ...]
    grid: tuple[tuple[float, int], ...]
    changes: tuple[float, ...]
    first: int
    last: int
    width: int = PLOT_WIDTH
    height: int = PLOT_HEIGHT
    left: int = _LEFT


def latency_plot(points: Sequence[Point]) -> Plot | None:
    """Return the plot of calls; None if there are none."""
    if not points:
        return None
    most = max(max(each.duration, each.init or 0) for each in points)
    decades = max(2, math.ceil(math.log10(max(10, most))))
    step = (PLOT_WIDTH - _LEFT - 16) / max(1, len(points) - 1)

    def height(value: int) -> float:
        room = PLOT_HEIGHT - _TOP - _BOTTOM
        return round(PLOT_HEIGHT - _BOTTOM - room * math.log10(max(1, value)) / decades, 1)

    dots: list[Dot] = []
    changes: list[float] = []
    for index, point in enumerate(points):
        x = round(_LEFT + 8 + step * index, 1)
        if index and point.revision != points[index - 1].revision:
            changes.append(round(x - step / 2, 1))
        if point.init is not None:
            dots.append(Dot(x, height(point.init), "init", point, point.init))
        kind = "error" if point.status else "run"
        run = max(0, point.duration - (point.init or 0))
        dots.append(Dot(x, height(run), kind, point, run))
    grid = tuple((height(10**power), 10**power) for power in range(decades + 1))
    return Plot(tuple(dots), grid, tuple(changes), points[0].start, points[-1].start)


@dataclass(frozen=True, slots=True)
class Bar:
    """An import in the chart: its place, its module, and its label as far as it fits."""

    x: float
    y: int
    width: float
    module: str
    label: str
    milliseconds: float
    is_slow: bool


@dataclass(frozen=True, slots=True)
class ImportChart:
    """The imports of a version: time from left to right, and below each import those it made."""

    bars: tuple[Bar, ...]
    total: float
    height: int
    width: int = IMPORTS_WIDTH


def import_chart(imports: Sequence[Import]) -> ImportChart:
    """Return the chart of an import profile."""
    total = sum(each.milliseconds for each in imports)
    bars: list[Bar] = []
    _place(bars, imports, 0.0, 0, IMPORTS_WIDTH / max(total, 0.001))
    rows = max((bar.y // ROW for bar in bars), default=0) + 1
    return ImportChart(tuple(bars), total, rows * ROW)


def _place(
    bars: list[Bar], imports: Sequence[Import], left: float, depth: int, scale: float
) -> None:
    """Add imports beside each other, and theirs below; leave out what is too narrow to be seen."""
    for each in imports:
        width = each.milliseconds * scale
        if width >= 1.5:
            fits = int((width - 8) / _CHARACTER)
            label = each.module if len(each.module) <= fits else each.module[: fits - 1] + "…"
            bars.append(
                Bar(
                    round(left, 1), depth * ROW, round(width, 1), each.module,
                    label if fits >= 3 else "", each.milliseconds,
                    width >= IMPORTS_WIDTH / 4,
                )
            )  # fmt: skip
            if depth < _DEEPEST:
                _place(bars, each.parts, left, depth + 1, scale)
        left += width
