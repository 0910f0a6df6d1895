"""Rows about memory: proportional set size of the whole tree."""

from __future__ import annotations

import importlib.util
import io
import os
import threading
import time
import zipfile
from collections.abc import Callable, Iterator

from tests.support.actions import version_source
from tests.support.client import init_once, run_once
from tests.support.server import Server
from tests.support.wire import init_body

from .client import Work, measure
from .report import Bar, Row
from .subjects import ECHO, PANDAS, hotwhisk, reference

MB = 1 << 20

INCUMBENT = {"a tiny action": 7.2, "imports of the standard library": 11.6}
"""
Megabytes of OpenWhisk's own runtime (ActionLoop, Python 3.11) after the same action: November 2026.
"""
ACTIONS = {
    "a tiny action": ECHO,
    "imports of the standard library": (
        "import base64, collections, datetime, hashlib, json, logging, random, re, urllib.request\n"
        + ECHO
    ),
}
RUNS = 10
SETTLED = 0.6
"""Seconds after which a server has nothing left to do."""


def after_runs(scale: float) -> Iterator[Row]:
    """Measure after 10,000 runs; with pandas for one and four workers, if it is installed."""
    count = max(1000, int(10_000 * scale))
    with reference() as server:
        measure(Work("kept", server.address, count))
        bare = server.pss() / MB
    with hotwhisk() as server:
        measure(Work("kept", server.address, count))
        detail = f"{len(server.tree())} processes; the reference {bare:.1f}"
        yield Row(f"memory after {count} runs", [server.pss() / MB], Bar(16, "MB"), "MB", detail)
    if importlib.util.find_spec("pandas"):
        for workers in (1, 4):
            with hotwhisk(PANDAS, "--workers", str(workers)) as server:
                measure(Work("flood-kept", server.address, count))
                name = f"memory of a pandas action, {workers} workers"
                yield Row(name, [server.pss() / MB], None, "MB")


def in_container(_: float) -> Iterator[Row]:
    """Measure what a container is charged for, after one /init and a few runs of an action."""
    for name, code in ACTIONS.items():
        with hotwhisk(code, "--openwhisk") as server:
            for _ in range(RUNS):
                run_once(server.address, {})
            time.sleep(SETTLED)
            used, incumbent = server.anonymous() / MB, INCUMBENT[name]
            detail = f"{used:.1f} MB against {incumbent} in November 2026, no files counted"
            yield Row(
                f"--openwhisk, memory after {name}", [used / incumbent], Bar(1.3), "×", detail
            )


def big_init(scale: float) -> Iterator[Row]:
    """Measure the peak while 50 MB are posted, as source and as an archive in base64."""
    times = 3 if scale >= 1 else 1
    for name, code in (("source", big_source()), ("archive", big_archive())):
        body = len(init_body(code, binary=isinstance(code, bytes)))
        peaks = []
        for _ in range(times):
            with hotwhisk(ECHO) as server:
                peaks.append(peak_during(server, lambda code=code: post(server, code)) / body)  # type: ignore[misc]
        detail = f"of {body / 1e6:.0f} MB, whole tree, sampled; 2 × if read as a stream"
        yield Row(f"peak memory of a 50 MB /init, {name}", peaks, Bar(4), "×", detail)


def post(server: Server, code: str | bytes) -> None:
    """Post the code and check that it became current."""
    response = init_once(server.address, code, timeout=60.0)
    if response.status != 200:
        raise RuntimeError(f"/init: {response.status} {response.body[:200]!r}")


def big_source() -> str:
    """Return a source of nearly 50 MB, most of it a comment of many lines."""
    return version_source(1) + ("# " + "x" * 77 + "\n") * 620_000


def big_archive() -> bytes:
    """Return a zip that has nearly 50 MB in base64, and does not compress."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as made:
        made.writestr("__main__.py", version_source(1))
        made.writestr("data.bin", os.urandom(37_000_000))
    return written.getvalue()


def peak_during(server: Server, doing: Callable[[], None]) -> int:
    """Return the largest memory of the tree, sampled without pause while ``doing`` ran."""
    failed: list[Exception] = []

    def work() -> None:
        try:
            doing()
        except Exception as error:  # noqa: BLE001 - told by the thread that waits
            failed.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    peak = 0
    while worker.is_alive():
        peak = max(peak, server.pss())
    worker.join()
    if failed:
        raise failed[0]
    return max(peak, server.pss())
