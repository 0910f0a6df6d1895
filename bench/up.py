"""Rows about ``hotwhisk up``: start, first call, warm calls, updates, calls at once, memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.support.gateway import GatewayProcess
from tests.support.gateway_calls import Acknowledged, Client

from .memory import MB
from .report import Bar, Row

AT_ONCE = 10
WAITS = "import time\n\ndef main(args):\n    time.sleep(args['seconds'])\n    return {}\n"
WAIT = {"seconds": 0.5}

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
        yield at_once(served, scale)
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


def at_once(served: GatewayProcess, scale: float) -> Row:
    """Measure calls of a synchronous action that are sent at the same time."""
    served.create("waits", WAITS, limits={"concurrency": AT_ONCE})
    served.invoke("waits", {"seconds": 0})
    took = []
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for _ in range(max(3, int(10 * scale))):
            begun = time.perf_counter()
            done = list(threads.map(served.invoke, ["waits"] * AT_ONCE, [WAIT] * AT_ONCE))
            took.append((time.perf_counter() - begun) * 1000)
            if not all(record["response"]["success"] for record in done):
                raise RuntimeError("a call that overlaps others failed")
    return Row("10 calls of 0.5 s at once, concurrency 10, p50", took, Bar(800, "ms"), "ms")


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
