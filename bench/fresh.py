"""Rows about a process for each run, beside the same action without it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from .client import Work, measure
from .report import Bar, Row, interleave
from .requests import p50, rounds
from .subjects import ECHO, hotwhisk

CLIENTS = 4
PAUSE = 0.02
"""Seconds between two requests whose latency is measured: the next process is ready by then."""


def runs(scale: float) -> Iterator[Row]:
    """Measure what a process for each run adds to a request, and how many there are in a second."""
    cases = [("a process for each run", ECHO)]
    if importlib.util.find_spec("pandas"):
        cases.append(("the same, pandas imported", "import pandas\n" + ECHO))
    for name, source in cases:
        with hotwhisk(source, "--fresh") as ours, hotwhisk(source) as theirs:
            for mode in ("kept", "fresh"):
                count = max(50, int(500 * scale))
                works = [Work(mode, each.address, count, pause=PAUSE) for each in (ours, theirs)]
                taken = interleave(rounds(scale), *map(p50, works))
                added = [(one - other) / 1000 for one, other in zip(*taken, strict=True)]
                connection = "kept connection" if mode == "kept" else "new connection"
                yield Row(f"{name}: added, {connection}, p50", added, Bar(1, "ms"), "ms")
            work = Work("flood-fresh", ours.address, max(200, int(2000 * scale)), clients=CLIENTS)
            rates = [measure(work).rate for _ in range(rounds(scale))]
        yield Row(f"{name}: runs per second", rates, Bar(200, "/s", most=False), "/s")
