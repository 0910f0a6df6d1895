"""The plots of docs/performance.md: latency over throughput, and memory over workers."""

from __future__ import annotations

import importlib.util
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

from tests.support.server import Server

from .against import Other
from .chart import Chart, Line, draw
from .client import Taken, Work, measure
from .memory import MB
from .requests import rounds
from .subjects import ECHO, hotwhisk, reference

CONNECTIONS = (1, 2, 4, 8, 16, 32, 64)
WORKERS = (1, 2, 4, 8)
LIBRARIES = "import asyncio, csv, decimal, email, logging, sqlite3, urllib.request, uuid\n"


def plots(scale: float, others: Sequence[Other], note: str) -> str:
    """Measure and return both plots as SVG."""
    return draw([latency_over_throughput(scale, others), memory_over_workers(scale)], note)


def latency_over_throughput(scale: float, others: Sequence[Other]) -> Chart:
    """Measure each server with more and more connections, each of which waits for its answer."""
    count = max(1000, int(20_000 * scale))
    with ExitStack() as stack:
        works = {
            "the reference, a bare server": stack.enter_context(reference()).address,
            "hotwhisk serve": stack.enter_context(hotwhisk()).address,
            "hotwhisk serve --openwhisk": stack.enter_context(
                hotwhisk(ECHO, "--openwhisk")
            ).address,
        }
        loads = {name: Work("flood-kept", address, count) for name, address in works.items()}
        for other in others:
            other.require_action()
            loads[other.name] = other.work(Work("flood-kept", other.address, count))
        taken: dict[tuple[str, int], list[Taken]] = {}
        for _ in range(rounds(scale)):
            for clients in CONNECTIONS:
                for name, work in loads.items():
                    found = measure(replace(work, clients=clients))
                    taken.setdefault((name, clients), []).append(found)
    lines = []
    for number, name in enumerate(loads):
        points = [
            (
                statistics.median(each.rate for each in taken[name, clients]),
                statistics.median(each.p50 for each in taken[name, clients]) * 1e3,
            )
            for clients in CONNECTIONS
        ]
        lines.append(Line(name, points, [] if number else [str(each) for each in CONNECTIONS]))
    return Chart(
        "Latency over throughput, one worker",
        "answers per second, with as many connections as each point says",
        "median latency, ms",
        lines,
    )


def memory_over_workers(scale: float) -> Chart:
    """Measure the memory of all processes of a server with more and more workers."""
    subjects: dict[str, Callable[[int], float]] = {
        "as many bare servers, small action": lambda workers: separate(workers, scale),
        "hotwhisk, small action": lambda workers: together(ECHO, workers, scale),
        "hotwhisk, imports of the standard library": lambda workers: together(
            LIBRARIES + ECHO, workers, scale
        ),
    }
    if importlib.util.find_spec("numpy"):
        subjects["hotwhisk, numpy"] = lambda workers: together(
            f"import numpy\n{ECHO}", workers, scale
        )
    lines = [
        Line(name, [(workers, subject(workers)) for workers in WORKERS])
        for name, subject in subjects.items()
    ]
    return Chart("Memory over workers", "workers", "PSS of all processes, MB", lines)


def together(source: str, workers: int, scale: float) -> float:
    """Return the megabytes of one server with this many workers, after they have served."""
    with hotwhisk(source, "--workers", str(workers)) as server:
        serve_some(server, workers, scale)
        return server.pss() / MB


def separate(workers: int, scale: float) -> float:
    """Return the megabytes of this many bare servers, after they have served."""
    with ExitStack() as stack:
        servers = [stack.enter_context(reference()) for _ in range(workers)]
        for server in servers:
            serve_some(server, 1, scale)
        return sum(server.pss() for server in servers) / MB


def serve_some(server: Server, workers: int, scale: float) -> None:
    """Send so many requests that each worker has some."""
    measure(Work("flood-kept", server.address, max(500, int(2000 * scale)) * workers))
