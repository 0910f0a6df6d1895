"""
Rows about the container: how long until it serves, and a large artifact in it.

They need a Docker engine and the image: ``./run image slim`` first.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from hotwhisk.platform.process_runtime import free_port
from tests.image.artifact import build
from tests.image.container import SLIM, docker
from tests.support.actions import version_source
from tests.support.client import Address, Connection, init_once, run_once
from tests.support.wire import ClientError

from .report import Row, interleave, ratio_row

END = 30.0
LARGE = "import numpy, pandas, cryptography.fernet\n"
REQUIREMENTS = ("numpy==2.3.5", "pandas==2.3.3", "cryptography==46.0.3")


def containers(scale: float) -> Iterator[Row]:
    """
    Measure from the command ``docker run`` until /init is answered and until the first answer.

    This is done in turns with the same container that runs ``python -c pass``. Then measure the
    /init of a large artifact.
    """
    count = max(3, int(20 * scale))
    for name, once in (("/init is answered", init_answered), ("the first answer", first_answer)):
        ours, blank = interleave(count, once, pass_once)
        more = statistics.median(ours) - statistics.median(blank)
        shown = f"{{:.0f}} ms against {{:.0f}}: {more:.0f} more"
        yield ratio_row(f"container to {name} / python -c pass", None, ours, blank, shown)
    yield from large_inits(max(1, int(5 * scale)))


def pass_once() -> float:
    """
    Return milliseconds from the command until Python has ended, by the engine's record.

    What the engine does after that does not count.
    """
    begun = time.time()
    identity = docker("run", "--detach", "--entrypoint=python", SLIM, "-c", "pass")
    docker("wait", identity)
    ended = docker("inspect", "--format={{.State.FinishedAt}}", identity)
    docker("rm", identity)
    return (datetime.fromisoformat(ended).timestamp() - begun) * 1000


def init_answered() -> float:
    """Return milliseconds from the command until /init is answered."""
    with starting() as (begun, address):
        wait_initialised(address)
        return (time.perf_counter() - begun) * 1000


def first_answer() -> float:
    """Return milliseconds from the command until the first answer."""
    with starting() as (begun, address):
        wait_initialised(address)
        run_once(address, {})
        return (time.perf_counter() - begun) * 1000


@contextmanager
def starting(*options: str) -> Iterator[tuple[float, Address]]:
    """Run a container; yield when its command was given, and where it will listen."""
    port = free_port()
    publish = f"--publish=127.0.0.1:{port}:8080"
    begun = time.perf_counter()
    identity = docker("run", "--detach", publish, *options, SLIM)
    try:
        yield begun, ("127.0.0.1", port)
    finally:
        docker("rm", "--force", identity)


def wait_initialised(address: Address) -> None:
    """
    Post until the server accepts the /init.

    The engine's own proxy accepts before a server listens behind it, and closes then: that can only
    be tried again.
    """
    end = time.perf_counter() + END
    while True:
        try:
            answer = init_once(address, version_source(1))
        except ClientError:
            if time.perf_counter() > end:
                raise
            time.sleep(0.001)
            continue
        if answer.status != 200:
            raise RuntimeError(f"/init: {answer.status} {answer.body!r}")
        return


def large_inits(times: int) -> Iterator[Row]:
    """
    Post the artifact for the first time, and again with another action and the same
    libraries.
    """
    with tempfile.TemporaryDirectory() as folder:
        contents = [
            build(
                Path(folder, str(number)), LARGE + version_source(number), *REQUIREMENTS
            ).read_bytes()
            for number in (1, 2)
        ]
    size = f"{len(contents[0]) / 1e6:.0f} MB: numpy, pandas, cryptography"
    for place, options in (("tmpfs", ("--tmpfs=/tmp:exec",)), ("the engine's layer", ())):
        first, again = [], []
        for _ in range(times):
            with starting("--env=PROXY_ALLOW_REINIT=1", *options) as (_, address):
                wait_initialised(address)
                first.append(posted(address, contents[0]))
                again.append(posted(address, contents[1]))
        yield Row(f"/init of native wheels, /tmp on {place}", first, None, "ms", size)
        yield Row("the same with another action", again, None, "ms")


def posted(address: Address, content: bytes) -> float:
    """Return the milliseconds of one /init."""
    with Connection(address, timeout=60.0) as connection:
        begun = time.perf_counter()
        answer = connection.init(content)
        took = time.perf_counter() - begun
    if answer.status != 200:
        raise RuntimeError(f"/init: {answer.status} {answer.body!r}")
    return took * 1000
