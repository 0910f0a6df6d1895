"""
Let an action damage the descriptors that the server has in the action's process.

It costs at most that process: each request is answered soon, and the next version serves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.actions import version_source
from tests.support.client import Connection, run_once
from tests.support.server import Server

from . import control

pytestmark = pytest.mark.slow

_SOURCE = """\
import asyncio, os, resource, selectors, socket, time

def find(part):
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
            if part in target and int(name) > 2:
                yield int(name)
        except OSError:
            pass

def channel():
    for number in find("socket:"):
        end = socket.socket(fileno=os.dup(number))
        if end.type == socket.SOCK_SEQPACKET:
            return number, end
        end.close()

def damage(how):
    if how.startswith("channel"):
        number, end = channel()
    if how == "channel: empty packet":
        end.send(b"")
    elif how == "channel: no more sending":
        end.shutdown(socket.SHUT_WR)
    elif how == "channel: shut down":
        end.shutdown(socket.SHUT_RDWR)
    elif how == "channel: closed":
        end.close()
        os.close(number)
    elif how == "channel: replaced":
        end.close()
        os.dup2(os.open(os.devnull, os.O_RDWR), number)
    elif how == "epoll: closed":
        for each in find("eventpoll"):
            os.close(each)
    elif how == "epoll: replaced":
        null = os.open(os.devnull, os.O_RDWR)
        for each in find("eventpoll"):
            os.dup2(null, each)

"""
IN_HANDLER = """
PREFIXdef main(event):
    if event.get("how"):
        damage(event["how"])
    time.sleep(event.get("sleep", 0))
    return {"version": 0}
"""
ON_IMPORT = """
damage("HOW")
def main(event):
    return {"version": 0}
"""

CHANNEL = (
    "channel: empty packet", "channel: no more sending", "channel: shut down", "channel: closed",
    "channel: replaced",
)  # fmt: skip
EPOLL = ("epoll: closed", "epoll: replaced")
SOON = 5.0
"""Seconds; far below the limit of a run, which would end a worker that hangs."""


@pytest.fixture
def server() -> Iterator[Server]:
    """Start a server that must end by itself, though its log may have tracebacks of workers."""
    with Server() as started:
        yield started
        started.terminate()
        assert started.wait(10.0) == 0
        assert not started.left()


def in_handler(prefix: str = "") -> str:
    return _SOURCE + IN_HANDLER.replace("PREFIX", prefix)


def expect_next(server: Server, number: int, kept: Connection | None = None) -> None:
    """Expect that the next version serves, though an /init may have to be sent a second time."""
    with kept or Connection(server.address) as connection:
        connection.timeout = SOON
        first = connection.init(version_source(number))
    if first.status != 200:
        assert "send it again" in str(first.body)
        server.replace(number)
    assert json.loads(run_once(server.address, {}).body)["version"] == number


@pytest.mark.parametrize("prefix", ["", "async "], ids=["sync", "async"])
@pytest.mark.parametrize("how", CHANNEL)
def test_an_init_is_answered_soon_whatever_became_of_the_channel(
    server: Server, how: str, prefix: str
) -> None:
    server.post(in_handler(prefix))
    with Connection(server.address) as kept, Connection(server.address) as other:
        assert other.run({}).status == 200
        assert kept.run({"how": how}).value("version") == 0
        expect_next(server, 2, other)


def test_a_run_that_closed_the_channel_is_answered_first(server: Server) -> None:
    server.post(in_handler())
    with Connection(server.address) as connection:
        assert connection.run({"how": "channel: closed", "sleep": 1.0}).value("version") == 0
    control.wait_until(server, lambda found: bool(found["deaths"]), "its worker ends")
    assert "its channel to the server is closed" in server.stderr()
    expect_next(server, 2)


@pytest.mark.parametrize("how", EPOLL)
@pytest.mark.parametrize("prefix", ["", "async "], ids=["sync", "async"])
def test_a_worker_that_cannot_wait_any_more_ends_soon(
    server: Server, how: str, prefix: str
) -> None:
    server.post(in_handler(prefix))
    with Connection(server.address) as kept, Connection(server.address, timeout=SOON) as other:
        assert other.run({}).status == 200
        assert kept.run({"how": how}).status in (200, 502)
        assert other.run({}).status == 200
        expect_next(server, 2, other)


@pytest.mark.parametrize("how", EPOLL)
def test_a_version_that_cannot_wait_delays_no_client(server: Server, how: str) -> None:
    server.replace(1)
    source = _SOURCE + ON_IMPORT.replace("HOW", how)
    with Connection(server.address, timeout=SOON) as connection:
        connection.init(source)  # it may become current, and is rolled back then
    for _ in range(3):
        with Connection(server.address, timeout=SOON) as connection:
            assert connection.run({}).status in (200, 502)
    expect_next(server, 3)


OUT_OF_FILES = """\
import asyncio, os, resource
kept = []
async def main(event):
    if event.get("take"):
        limit = len(os.listdir("/proc/self/fd")) + 20
        resource.setrlimit(resource.RLIMIT_NOFILE, (FEWEST, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        try:
            while True:
                kept.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass
    await asyncio.sleep(event.get("sleep", 0))
    return {"version": 0}
"""


@pytest.mark.parametrize("fewest", [0, 64])
def test_runs_in_flight_are_answered_by_a_worker_out_of_descriptors(
    server: Server, fewest: int
) -> None:
    server.post(OUT_OF_FILES.replace("FEWEST", str(fewest)))
    with Connection(server.address) as running, Connection(server.address) as idle:
        assert idle.run({"take": True}).status == 200
        running.send_run({"sleep": 1.0})
        for _ in range(3):  # these connections cannot reach that worker
            assert run_once(server.address, {}).status == 200
        assert running.read_response(SOON).value("version") == 0
        assert idle.run({}).status == 200
        expect_next(server, 2, idle)
    assert "out of file descriptors" in server.stderr()


def test_an_action_that_changes_how_enums_compare_gives_no_stale_answer(server: Server) -> None:
    source = """\
import enum
enum.Enum.__eq__ = lambda *_: False
enum.Enum.__hash__ = lambda _: 0
def main(event): return {"version": 0}
"""
    with Connection(server.address) as kept, Connection(server.address) as other:
        server.post(source)
        assert kept.run({}).value("version") == other.run({}).value("version") == 0
        server.replace(2)
        assert kept.run({}).value("version") == other.run({}).value("version") == 2
