"""
Rows about the platform's profile and its cost, and about a program behind the bridge.

Bodies are as the invoker sends them, each with an activation of its own. Output goes to files,
where writing a sentinel costs its system call, or to pipes with a reader each, as under a container
engine, where every sentinel also wakes up a process.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.process.programs import zipped
from tests.support.corpus import tools
from tests.support.corpus.cache import Unbuildable
from tests.support.server import Server

from .client import Work, measure
from .report import Bar, Row, interleave, ratio_row
from .requests import MICRO, rounds
from .subjects import ECHO, hotwhisk

HERE = Path(__file__).parent
MODES = (("kept", "kept", 4000), ("fresh", "new", 2000))
"""Mode of the client, its text in the row, and how many requests a round has."""


def profile(scale: float) -> Iterator[Row]:
    """Measure ``serve --openwhisk`` against ``serve``, with the same bodies."""
    for piped, sink, bar in ((False, "", Bar(1.15)), (True, ", pipes", None)):
        with (
            hotwhisk(ECHO, "--openwhisk", piped=piped) as ours,
            hotwhisk(ECHO, piped=piped) as plain,
        ):
            for mode, label, count in MODES:
                name = f"--openwhisk against plain, {label}{sink}, p50"
                yield compare(name, bar, (ours, plain), mode, count, scale)


def bridge(scale: float) -> Iterator[Row]:
    """Measure the echo as a program in Go, and in Python, against the handler in the worker."""
    programs = (
        ("Go", go_program(), Bar(2.0)),
        ("Python", zipped({"exec": (HERE / "echo_program.py").read_text()}), None),
    )
    with hotwhisk(ECHO, "--openwhisk") as handler:
        for language, program, limit in programs:
            with hotwhisk(program, "--openwhisk") as ours:
                for mode, label, count in MODES:
                    name = f"program in {language}, {label} connection, p50"
                    bar = limit if mode == "kept" else None
                    yield compare(name, bar, (ours, handler), mode, count, scale)


def compare(
    name: str, bar: Bar | None, pair: tuple[Server, Server], mode: str, count: int, scale: float
) -> Row:
    """Return a row with the median latencies of two servers, measured in turns."""
    ones, others = (
        Work(mode, server.address, max(200, int(count * scale)), platform=True) for server in pair
    )
    taken = interleave(
        rounds(scale), lambda: measure(ones).p50 * 1e6, lambda: measure(others).p50 * 1e6
    )
    return ratio_row(name, bar, *taken, MICRO)


def go_program() -> bytes:
    """Compile the echo in Go; if there is no compiler, one is installed if that is allowed."""
    try:
        compiler = tools.require("go")
    except Unbuildable as error:
        raise RuntimeError(str(error)) from error
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "exec")
        command = [compiler, "build", "-ldflags=-s -w", "-o", made, HERE / "echo.go"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"go build: {done.stderr}")
        return made.read_bytes()
