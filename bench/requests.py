"""Rows about requests: latency, throughput, and processor time against the reference."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator

from tests.support import tree
from tests.support.server import Server

from .client import Taken, Work, measure
from .report import Bar, Row, interleave, ratio_row
from .subjects import BURN, hotwhisk, reference

MICRO = "{:.0f} µs against {:.0f}"


ROWS = 22_000
"""Small objects that make an event of 1 MB."""


def latency(server: Server, mode: str, count: int, size: int = 20) -> Callable[[], float]:
    """Return a function that measures one round, in microseconds."""
    return p50(Work(mode, server.address, count, size))


def p50(work: Work) -> Callable[[], float]:
    """Return a function that measures one round of this work, in microseconds."""
    return lambda: measure(work).p50 * 1e6


def small(scale: float) -> Iterator[Row]:
    """Measure small bodies on kept and new connections."""
    with hotwhisk() as ours, reference() as theirs:
        for mode, name, limit, count in (
            ("kept", "small body, kept connection, p50", 1.4, 4000),
            ("fresh", "small body, new connection, p50", 1.5, 2000),
        ):
            work = max(200, int(count * scale))
            taken = interleave(
                rounds(scale), latency(ours, mode, work), latency(theirs, mode, work)
            )
            yield ratio_row(name, Bar(limit), *taken, MICRO)


def large(scale: float) -> Iterator[Row]:
    """Measure an echo of 1 MB, with a faster JSON library and without."""
    size, count = 1 << 20, max(20, int(150 * scale))
    for plain, name, limit in (
        (False, "1 MB, faster JSON installed, p50", 1.25),
        (True, "1 MB, standard library only, p50", 5.0),
    ):
        with hotwhisk(plain_json=plain) as ours, reference() as theirs:
            taken = interleave(
                rounds(scale),
                latency(ours, "kept", count, size),
                latency(theirs, "kept", count, size),
            )
        yield ratio_row(name, Bar(limit), *taken, MICRO)


def small_values(scale: float) -> Iterator[Row]:
    """Measure an echo of 1 MB of small values, against the reference and without orjson."""
    count = max(10, int(60 * scale))
    with hotwhisk() as ours, hotwhisk(plain_json=True) as plain, reference() as theirs:
        for other, name, limit in (
            (theirs, "1 MB of 22,000 rows, faster JSON, p50", 1.85),
            (plain, "the same against the standard library, p50", 0.5),
        ):
            work, against = (Work("kept", each.address, count, rows=ROWS) for each in (ours, other))
            taken = interleave(rounds(scale), p50(work), p50(against))
            yield ratio_row(name, Bar(limit), *taken, MICRO)


def throughput(scale: float) -> Iterator[Row]:
    """
    Measure 16 kept connections and one worker; the client's own load is shown, as it uses
    a core.
    """
    busy: list[float] = []

    def rate(server: Server) -> Callable[[], float]:
        def once() -> float:
            taken: Taken = measure(
                Work("flood-kept", server.address, max(2000, int(60_000 * scale)))
            )
            busy.append(taken.busy)
            return taken.rate

        return once

    with hotwhisk() as ours, reference() as theirs:
        taken = interleave(rounds(scale), rate(ours), rate(theirs))
    shown = f"{{:.0f}} /s against {{:.0f}}; the client uses {statistics.median(busy):.0%} of a core"
    yield ratio_row("16 kept connections, requests/s", Bar(0.65, most=False), *taken, shown)


def workers(scale: float) -> Iterator[Row]:
    """Measure two workers against one, 5 ms of processor time per request."""
    count = max(60, int(600 * scale))
    with hotwhisk(BURN, "--workers", "2") as two, hotwhisk(BURN) as one:
        for mode, name in (
            ("flood-kept", "two workers against one, kept"),
            ("flood-fresh", "two workers against one, new connections"),
        ):
            taken = interleave(
                rounds(scale),
                lambda mode=mode: measure(Work(mode, two.address, count)).rate,  # type: ignore[misc]
                lambda mode=mode: measure(Work(mode, one.address, count)).rate,  # type: ignore[misc]
            )
            yield ratio_row(name, Bar(1.8, most=False), *taken, "{:.0f} /s against {:.0f}")


def processor(scale: float) -> Iterator[Row]:
    """
    Measure processor time of the whole tree per 10,000 requests, with the processes it
    reaped.
    """
    count = max(1000, int(10_000 * scale))

    def seconds(server: Server, mode: str) -> Callable[[], float]:
        def once() -> float:
            before = tree.cpu_seconds(server.left())
            measure(Work(mode, server.address, count))
            return (tree.cpu_seconds(server.left()) - before) * 10_000 / count

        return once

    with hotwhisk() as ours, reference() as theirs:
        for mode, name, bar in (
            ("kept", "processor time per 10,000, kept", Bar(1.5)),
            ("fresh", "processor time per 10,000, new connections", Bar(1.5)),
        ):
            taken = interleave(rounds(scale), seconds(ours, mode), seconds(theirs, mode))
            yield ratio_row(name, bar, *taken, "{:.2f} s against {:.2f}")


def rounds(scale: float) -> int:
    """Return how often each side is measured."""
    return 7 if scale >= 1 else 3
