"""Draw charts of lines as SVG, side by side; the text of a file, no library."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 460, 340
LEFT, RIGHT, TITLE, BOTTOM = 62, 20, 18, 48
LEGEND = 15
"""Height of one line of the legend, which stands between the title and the lines."""

COLOURS = ("#1f5fa8", "#c2571a", "#3b7d3b", "#7b4a9e", "#666666", "#a3263f")
MOST_TICKS = 6


@dataclass(frozen=True)
class Line:
    """A named line through points; a label stands beside its point."""

    name: str
    points: Sequence[tuple[float, float]]
    labels: Sequence[str] = ()


@dataclass(frozen=True)
class Chart:
    """Lines on axes that begin at zero."""

    title: str
    across: str
    up: str
    lines: Sequence[Line]


def draw(charts: Sequence[Chart], note: str) -> str:
    """Return an SVG of these charts, with a note below them."""
    width, height = WIDTH * len(charts), HEIGHT + 22
    size = f'width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {size}>',
        '<g font-family="sans-serif" font-size="11">',
        f'<rect {size} fill="white"/>',
        text(LEFT, HEIGHT + 12, note, "start"),
    ]
    for number, chart in enumerate(charts):
        parts += [f'<g transform="translate({number * WIDTH} 0)">', *_chart(chart), "</g>"]
    return "\n".join([*parts, "</g>", "</svg>"]) + "\n"


def ticks(largest: float) -> list[float]:
    """Return round numbers from zero to at least ``largest``, at equal distances."""
    power = 10.0 ** math.floor(math.log10(largest / MOST_TICKS or 1))
    step = next(
        step for factor in (1, 2, 5, 10) if (step := factor * power) * MOST_TICKS >= largest
    )
    return [number * step for number in range(math.ceil(largest / step) + 1)]


def text(x: float, y: float, words: str, anchor: str, more: str = "") -> str:
    """Return a text at a place: ``anchor`` is start, middle or end."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#333" {more}>'
        f"{escape(words)}</text>"
    )


def _chart(chart: Chart) -> Iterator[str]:
    points = [point for line in chart.lines for point in line.points]
    across, up = ticks(max(x for x, _ in points)), ticks(max(y for _, y in points))
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    top = TITLE + 20 + LEGEND * len(chart.lines)

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + (right - LEFT) * x / across[-1],
            bottom - (bottom - top) * y / up[-1],
        )

    yield text(LEFT, TITLE, chart.title, "start", 'font-size="13" font-weight="bold"')
    for value in up:
        _, y = place(0, value)
        yield f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#ddd"/>'
        yield text(LEFT - 6, y + 4, f"{value:,g}", "end")
    for value in across:
        x, _ = place(value, 0)
        yield text(x, bottom + 16, f"{value:,g}", "middle")
    yield text((LEFT + right) / 2, bottom + 34, chart.across, "middle")
    yield text(
        14,
        (top + bottom) / 2,
        chart.up,
        "middle",
        f'transform="rotate(-90 14 {(top + bottom) / 2})"',
    )
    for number, line in enumerate(chart.lines):
        colour = COLOURS[number % len(COLOURS)]
        places = [place(*point) for point in line.points]
        way = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        yield f'<path d="M{way}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for x, y in places:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
        for (x, y), label in zip(places, line.labels, strict=False):
            yield text(x + 5, y + 12, label, "start", 'font-size="9"')
        y = TITLE + 16 + LEGEND * number
        yield f'<path d="M{LEFT} {y}h18" stroke="{colour}" stroke-width="2"/>'
        yield text(LEFT + 24, y + 4, line.name, "start")
