"""Rows about the start of a server, its replacements, and the death of a worker."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from hotwhisk.platform.process_runtime import free_port
from tests.support.actions import version_source
from tests.support.client import Address, Connection, init_once, run_once
from tests.support.server import Server

from .report import Bar, Row, interleave, ratio_row
from .subjects import DYING, PANDAS, hotwhisk

PAUSE = 0.6
"""Seconds after which a server has nothing left to do."""

COMMAND = "import sys; from hotwhisk.__main__ import main; sys.exit(main())"


def replacements(scale: float) -> Iterator[Row]:
    """
    Measure /init of a small source until its 200: one after the other, on a kept and on a new
    connection, and alone, as a user or the platform posts it.
    """
    count = max(20, int(200 * scale))
    with hotwhisk() as server, Connection(server.address) as kept:
        ours: list[float] = []
        new: list[float] = []
        for number in range(count):
            begun = time.perf_counter()
            kept.init(version_source(2 * number))
            between = time.perf_counter()
            init_once(server.address, version_source(2 * number + 1))
            ours.append((between - begun) * 1000)
            new.append((time.perf_counter() - between) * 1000)
        alone: list[float] = []
        for number in range(max(5, count // 10)):
            time.sleep(PAUSE)
            begun = time.perf_counter()
            init_once(server.address, version_source(-number))
            alone.append((time.perf_counter() - begun) * 1000)
    yield Row("/init of a small source, kept connection, p50", ours, Bar(4, "ms"), "ms")
    yield Row("/init of a small source, new connection, p50", new, Bar(4, "ms"), "ms")
    yield Row("the same, after a pause", alone, Bar(4, "ms"), "ms")


def deaths(scale: float) -> Iterator[Row]:
    """Let a handler kill its process, and measure until a request behind it is answered."""
    count = max(5, int(40 * scale))
    cases = [("death until the next answer, p50", DYING, (), Bar(10, "ms"))]
    if importlib.util.find_spec("pandas"):
        cases.append(("the same, pandas imported", PANDAS, (), None))  # type: ignore[arg-type]
    for name, source, arguments, bar in cases:
        with hotwhisk(source, *arguments) as server:
            yield Row(name, [die_once(server) for _ in range(count)], bar, "ms")


def die_once(server: Server) -> float:
    """Return milliseconds from the deadly request to the answer of the one behind it."""
    with Connection(server.address) as deadly, Connection(server.address) as other:
        deadly.run({})
        other.run({})
        begun = time.perf_counter()
        deadly.send_run({"die": True})
        answer = other.run({"token": 1})
        took = time.perf_counter() - begun
        if answer.status != 200 or deadly.read_response().status < 400:
            raise RuntimeError(f"after a death: {answer}")
    return took * 1000


def starts(scale: float) -> Iterator[Row]:
    """Measure from the command until the port accepts, and until the first answer after /init."""
    count = max(5, int(30 * scale))
    accepted, blank = interleave(count, start_once, pass_once)
    shown = "{:.1f} ms against {:.1f}"
    name = "serve until the port accepts / python -c pass"
    yield ratio_row(name, Bar(1.6), accepted, blank, shown)
    whole, accepted = interleave(count, first_answer_once, start_once)
    more = [one - other for one, other in zip(whole, accepted, strict=True)]
    detail = f"{statistics.median(whole):.1f} ms in all"
    yield Row("start, /init, first answer: more than that", more, Bar(30, "ms"), "ms", detail)


def pass_once() -> float:
    """Return the milliseconds of ``python -c pass``."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return (time.perf_counter() - begun) * 1000


def start_once() -> float:
    """Return milliseconds from the command until a connection is accepted."""
    with starting() as (begun, _):
        return (time.perf_counter() - begun) * 1000


def first_answer_once() -> float:
    """Return milliseconds from the command until the first answer of a posted version."""
    with starting() as (begun, address):
        init_once(address, version_source(1))
        run_once(address, {})
        return (time.perf_counter() - begun) * 1000


@contextmanager
def starting() -> Iterator[tuple[float, Address]]:
    """
    Start ``hotwhisk serve`` as a user does, on a port of its own, and connect until accepted.

    The command is started as current versions of pip and uv install it. The script of an older pip
    imports `re` first, which takes longer than the rest of the way to the open port.
    """
    command = [sys.executable, "-c", COMMAND]
    address = ("127.0.0.1", free_port())
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        process = subprocess.Popen(
            [*command, "serve", "--port", str(address[1]), "--run-dir", folder],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_accepted(address, process, begun + 10)
            yield begun, address
        finally:
            os.kill(process.pid, signal.SIGTERM)
            process.wait(10)


def wait_accepted(address: Address, process: subprocess.Popen[bytes], end: float) -> None:
    """
    Connect until it works.

    A foreign process does not report that its port is open, so this has to be tried. The attempts
    are 0.2 ms apart so as not to load the other core.
    """
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(address) == 0:
                return
        if process.poll() is not None or time.perf_counter() > end:
            raise RuntimeError("hotwhisk serve did not open its port")
        time.sleep(0.0002)
