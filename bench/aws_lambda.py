"""
Rows about ``hotwhisk lambda``, beside AWS's own runtime for Python, awslambdaric.

pip installs that once into ``build-out``, with pandas for the function. The platform is a stand-in,
which knows when a poll is open. The time of an event is measured with Lambda's own emulator.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.support import tree
from tests.support.lambda_emulator import HOTWHISK, PATH, Emulator
from tests.support.runtime_api import Platform, Runtime

from .memory import MB
from .report import Bar, Row, ratio_row

ROOT = Path(__file__).parents[1]
AT_ONCE = 16
SECONDS = 120.0
SETTLED = 1.0
"""Seconds after which a runtime has nothing left to do."""

THEIRS = (sys.executable, "-m", "awslambdaric")
SMALL = "def handler(event, context):\n    return event\n"
LARGE = """\
import os, time
import pandas

def handler(event, context):
    if "pipe" in event:
        with open(event["pipe"], "w") as pipe:
            pipe.write(str(os.getpid()))
        time.sleep(60)
    return event
"""
EVENT = {"name": "Ada", "items": list(range(20))}


class Measured(NamedTuple):
    """One runtime with many polls: seconds until all are open, and megabytes."""

    ready: float
    idle: float
    after: float


def rows(scale: float) -> Iterator[Row]:
    """Measure both runtimes in turns."""
    rounds = 3 if scale >= 1 else 1
    yield from one_at_a_time(rounds, max(300, int(3000 * scale)))
    yield from at_once(rounds, max(1000, int(10_000 * scale)))
    yield Row("lambda: kill -9 until 16 polls are open", deaths(5 * rounds), Bar(20, "ms"), "ms")


def one_at_a_time(rounds: int, count: int) -> Iterator[Row]:
    """Measure a small function for one event at a time."""
    starts = [(first_poll(HOTWHISK), first_poll(THEIRS)) for _ in range(5 * rounds)]
    ours, theirs = zip(*starts, strict=True)
    detail = "{:.0f} ms; awslambdaric {:.0f}"
    yield ratio_row("lambda: first poll", Bar(1.1), ours, theirs, detail)
    events = [(event(HOTWHISK, count), event(THEIRS, count)) for _ in range(rounds)]
    ours, theirs = zip(*events, strict=True)
    detail = "{:.3f} ms; awslambdaric {:.3f}, both through the emulator"
    yield ratio_row("lambda: an event, p50", Bar(1.0), ours, theirs, detail)


def at_once(rounds: int, count: int) -> Iterator[Row]:
    """Measure a function with pandas for 16 events at a time."""
    both = [(many(HOTWHISK, count), many(THEIRS, count)) for _ in range(rounds)]
    names = {
        "ready": ("16 polls open, pandas", Bar(0.25), "{:.2f} s; awslambdaric {:.2f}"),
        "idle": ("memory idle, 16 and pandas", Bar(0.2), "{:.0f} MB; awslambdaric {:.0f}"),
        "after": (f"memory after {count} events", Bar(0.35), "{:.0f} MB; awslambdaric {:.0f}"),
    }
    for field, (name, bar, detail) in names.items():
        ours = [getattr(each, field) for each, _ in both]
        theirs = [getattr(each, field) for _, each in both]
        yield ratio_row(f"lambda: {name}", bar, ours, theirs, detail)


def first_poll(command: Sequence[str]) -> float:
    """Return the milliseconds from the start of a runtime until its first poll."""
    with Platform() as platform:
        begun = time.perf_counter()
        with runtime(platform, SMALL, command):
            platform.wait_polls(1, SECONDS)
            return (time.perf_counter() - begun) * 1000


def event(command: Sequence[str], count: int) -> float:
    """Return the milliseconds that the median event takes through the emulator."""
    body, taken = json.dumps(EVENT), []
    with Emulator(SMALL, runtime=command, PYTHONPATH=python_path()) as emulator:
        connection = emulator.connect()
        for _ in range(count):
            begun = time.perf_counter()
            connection.request("POST", PATH, body, {"Content-Type": "application/json"})
            if json.loads(connection.getresponse().read()) != EVENT:
                raise RuntimeError(emulator.log[-500:])
            taken.append((time.perf_counter() - begun) * 1000)
        connection.close()
    return statistics.median(taken)


def many(command: Sequence[str], count: int) -> Measured:
    """Measure a runtime with pandas and 16 polls."""
    with Platform() as platform:
        begun = time.perf_counter()
        with runtime(platform, LARGE, command, AWS_LAMBDA_MAX_CONCURRENCY=str(AT_ONCE)) as started:
            platform.wait_polls(AT_ONCE, SECONDS)
            ready = time.perf_counter() - begun
            time.sleep(SETTLED)
            idle = memory(started)
            outcomes = [platform.send(EVENT) for _ in range(count)]
            for outcome in outcomes:
                if outcome.result(SECONDS).kind != "response":
                    raise RuntimeError(started.log[-500:])
            time.sleep(SETTLED)
            return Measured(ready, idle, memory(started))


def deaths(count: int) -> list[float]:
    """Return the milliseconds from each ``kill -9`` until the error is posted and 16 poll."""
    taken = []
    with (
        Platform() as platform,
        runtime(platform, LARGE, HOTWHISK, AWS_LAMBDA_MAX_CONCURRENCY=str(AT_ONCE)) as started,
    ):
        platform.wait_polls(AT_ONCE, SECONDS)
        pipe = started.folder / "pipe"
        os.mkfifo(pipe)
        for _ in range(count):
            time.sleep(SETTLED)
            outcome = platform.send({"pipe": str(pipe)})
            pid = int(pipe.read_text())
            begun = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            if outcome.result(SECONDS).kind != "error":
                raise RuntimeError("a killed event is no error")
            platform.wait_polls(AT_ONCE, SECONDS)
            taken.append((time.perf_counter() - begun) * 1000)
    return taken


def runtime(platform: Platform, source: str, command: Sequence[str], **variables: str) -> Runtime:
    """Return a runtime that is not started yet."""
    made = Runtime(platform, source, PYTHONPATH=python_path(), **variables)
    made.command = list(command)
    return made


def memory(started: Runtime) -> float:
    """Return the megabytes of all processes of a runtime, shared pages counted once."""
    return tree.pss(tree.below(started.process.pid)) / MB


def python_path() -> str:
    """Return where Python finds awslambdaric, pandas and this hotwhisk."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    folder = ROOT / "build-out" / f"awslambdaric-{version}"
    if not folder.exists():
        fresh = folder.with_name(f"{folder.name}.new")
        command = [
            sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--only-binary", ":all:", "--target", str(fresh), "awslambdaric", "pandas",
        ]  # fmt: skip
        subprocess.run(command, check=True)
        fresh.rename(folder)
    return f"{ROOT / 'src'}:{folder}"
