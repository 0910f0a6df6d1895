"""Rows about a save in an editor: until a caller gets the answer of the new version."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.gateway.dev import DevProcess
from tests.support.client import Connection
from tests.support.server import Server

from .report import Bar, Row

PAUSE = 0.3
"""Seconds between two saves: a person makes no second one before that."""
LONGEST = 30.0
BAR = Bar(100, "ms")

Ask = Callable[[], object]


def saves(scale: float) -> Iterator[Row]:
    """Save one file again and again, while one caller asks all the time on a kept connection."""
    count = max(10, int(100 * scale))
    with TemporaryDirectory() as folder:
        file = Path(folder, "hello.py")
        save(file, 0)
        with DevProcess(file, "--web") as dev:
            dev.wait_live("hello 0.0.1")
            connection = HTTPConnection("127.0.0.1", dev.port, timeout=LONGEST)
            times = [until_live(file, number, lambda: web(connection)) for number in numbers(count)]
            connection.close()
        yield Row("save to live, hotwhisk dev, p50", times, BAR, "ms", p90(times))
        with Server(str(file), "--watch") as server, Connection(server.address) as kept:
            times = [until_live(file, -number, lambda: plain(kept)) for number in numbers(count)]
        yield Row("save to live, serve --watch, p50", times, BAR, "ms", p90(times))


def numbers(count: int) -> range:
    return range(1, count + 1)


def save(file: Path, number: int) -> None:
    """Save as most editors do: write a new file, and rename it over the old one."""
    fresh = file.with_suffix(".new")
    fresh.write_text(f"def main(event):\n    return {{'number': {number}}}\n")
    os.replace(fresh, file)


def until_live(file: Path, number: int, ask: Ask) -> float:
    """Return milliseconds from a save to the first answer of the new version."""
    time.sleep(PAUSE)
    begun = time.perf_counter()
    save(file, number)
    while ask() != {"number": number}:
        if time.perf_counter() - begun > LONGEST:
            raise RuntimeError(f"save {number} is not live")
    return (time.perf_counter() - begun) * 1000


def web(connection: HTTPConnection) -> object:
    connection.request("GET", "/hello.json")
    return json.loads(connection.getresponse().read())


def plain(connection: Connection) -> object:
    return connection.run({}).json()


def p90(times: list[float]) -> str:
    return f"p90 {sorted(times)[int(len(times) * 0.9)]:.0f} ms"
