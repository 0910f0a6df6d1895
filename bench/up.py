"""Rows about ``hotwhisk up``: its start, a first call, warm calls, an update, idle memory."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.support.gateway import GatewayProcess
from tests.support.gateway_calls import Acknowledged, Client

from .memory import MB
from .report import Bar, Row

STANDALONE = "OpenWhisk standalone: {}"
"""Measured once on the same two cores: a JVM and a container engine, no other load."""


def gateway(scale: float) -> Iterator[Row]:
    """Measure a gateway as a client sees it, on a connection that is kept."""
    starts = [start_once() for _ in range(max(3, int(10 * scale)))]
    detail = STANDALONE.format("about 20 s")
    yield Row("hotwhisk up until the first answer, p50", starts, Bar(1000, "ms"), "ms", detail)
    known = Acknowledged(100)
    with GatewayProcess() as served:
        client = Client(served, known, 1)
        for action in range(100):
            client.put(action)
        idle = [served.memory() / MB]
        yield Row("memory, 100 actions deployed, none in use", idle, Bar(60, "MB"), "MB")
        yield from calls(client, known, scale)
        client.close()
    if known.problems:
        raise RuntimeError("; ".join(known.problems[:3]))


def calls(client: Client, known: Acknowledged, scale: float) -> Iterator[Row]:
    """Measure first calls, warm calls and updates of actions that are deployed."""
    first = [milliseconds(client, action) for action in range(20)]
    detail = STANDALONE.format("580 to 750 ms")
    yield Row("first call of an action, p50", first, Bar(60, "ms"), "ms", detail)
    warm = [milliseconds(client, 0) for _ in range(max(100, int(1000 * scale)))]
    yield Row("warm blocking call, p50", warm, Bar(5, "ms"), "ms", STANDALONE.format("31 ms"))
    updates = []
    for _ in range(max(10, int(50 * scale))):
        begun = time.perf_counter()
        client.put(0)
        milliseconds(client, 0)
        updates.append((time.perf_counter() - begun) * 1000)
    yield Row("update until the new version answers, p50", updates, Bar(40, "ms"), "ms")
    if known.versions[0] != len(updates) + 1:
        raise RuntimeError("not every update was acknowledged")


def start_once() -> float:
    """Return milliseconds from the command until the first answer of the API."""
    begun = time.perf_counter()
    with GatewayProcess() as served:
        status = served.request("GET", "/api/v1", auth="").status
        took = time.perf_counter() - begun
    if status != 200:
        raise RuntimeError(f"the API answered {status}")
    return took * 1000


def milliseconds(client: Client, action: int) -> float:
    """Return how long a blocking call takes, and check its answer."""
    begun = time.perf_counter()
    status = client.call(action)
    took = time.perf_counter() - begun
    if status != 200:
        raise RuntimeError(f"a call was answered {status}")
    return took * 1000
