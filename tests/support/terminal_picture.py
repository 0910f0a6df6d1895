"""Draw what a terminal shows as an SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

LINE, COLUMN, MARGIN, BAR = 20, 8.43, 18, 34
FONTS = "ui-monospace, DejaVu Sans Mono, Menlo, Consolas, monospace"
COLOURS = {"typed": "#ffffff", "progress": "#8a94a6", "text": "#d5dae3"}


@dataclass(frozen=True)
class Shown:
    """A line in a terminal; ``kind`` is a key of `COLOURS`."""

    kind: str
    text: str


def draw(lines: Sequence[Shown], title: str) -> str:
    """Return the SVG of a terminal with these lines; ``title`` is for those who do not see it."""
    width = round(2 * MARGIN + COLUMN * max(len(each.text) for each in lines))
    height = BAR + LINE * len(lines) + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" rx="8" fill="#1b1f27"/>',
        *(
            f'<circle cx="{MARGIN + 16 * at}" cy="18" r="5" fill="#4a5261"/>'
            for at in range(3)
        ),
        f'<g font-family="{FONTS}" font-size="14" xml:space="preserve">',
        *(
            f'<text x="{MARGIN}" y="{BAR + LINE * at + 14}" fill="{COLOURS[each.kind]}">'
            f"{escape(each.text, quote=False)}</text>"
            for at, each in enumerate(lines)
        ),
        "</g>",
        "</svg>",
    ]  # fmt: skip
    return "\n".join(parts) + "\n"
