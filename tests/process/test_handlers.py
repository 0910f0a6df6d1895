"""Handlers of every shape, what they return, and what runs before the first request."""

from __future__ import annotations

import json

import pytest

from hotwhisk.platform import SENTINEL
from tests.support.archives import zip_of
from tests.support.client import Connection, init_once, run_once
from tests.support.rendezvous import Rendezvous
from tests.support.server import Server

from . import actions

REGISTERED = """\
import hotwhisk
from hotwhisk import on_startup
CALLED = []

@hotwhisk.on_startup
{define} connect(): CALLED.append("connect")

@on_startup
class Warm:
    def __init__(self): CALLED.append("warm")

on_startup(lambda: later())
async def later(): CALLED.append("later")

def main(event): return CALLED
"""


def test_an_unedited_actions_ready_is_not_called(server: Server) -> None:
    probe = "def ready(): raise RuntimeError('a web probe')\n"
    main = "def main(event): return event\n"
    for source in (probe + main, "async " + probe + "async " + main):
        server.post(source)
        assert server.call({"asked": 1}) == {"asked": 1}
    beside = {"probe.py": probe + main, "__main__.py": "from probe import main, ready\n"}
    server.post(zip_of(beside))
    assert server.call({"asked": 2}) == {"asked": 2}


@pytest.mark.parametrize("define", ["def", "async def"])
def test_what_is_marked_is_called_in_its_order_before_the_first_request(
    server: Server, define: str
) -> None:
    source = REGISTERED.format(define=define)
    server.post(source)
    assert server.call() == ["connect", "warm", "later"]
    server.post(zip_of({"inner.py": source, "__main__.py": "from inner import main\n"}))
    assert server.call() == ["connect", "warm", "later"]


def test_what_is_marked_in_a_file_of_start_is_called(server: Server) -> None:
    source = REGISTERED.format(define="def").replace("def main", "def handle")
    server.post(source + "if __name__ == '__main__':\n    hotwhisk.start(handle)\n")
    assert server.call() == ["connect", "warm", "later"]


@pytest.mark.parametrize(
    ("marked", "text"),
    [
        ("@on_startup\ndef connect(): raise OSError('no data base')", "no data base"),
        ("@on_startup\nasync def connect(): raise OSError('no data base')", "no data base"),
        ("@on_startup\ndef connect(url): pass", "connect has @on_startup, but cannot be called"),
        ("@on_startup()\ndef connect(): pass", "missing 1 required positional argument"),
        ("on_startup(3)", "on_startup expected a function, got int"),
    ],
)  # fmt: skip
def test_a_version_whose_start_fails_is_refused(marked: str, text: str) -> None:
    source = f"from hotwhisk import on_startup\n{marked}\ndef main(event): return [2]\n"
    with Server() as server:
        server.post("def main(event): return [1]\n")
        refused = init_once(server.address, source)
        assert (refused.status, text in refused.error) == (502, True), refused
        assert server.call() == [1]


# -- awaitables -----------------------------------------------------------------------------

WORK = """import asyncio, functools, types
async def work(event, *_):
    await asyncio.sleep(0)
    if event.get("raise"):
        raise ValueError("told to")
    return {"worked": event["n"]}

def plain(function):
    @functools.wraps(function)
    def inside(*arguments, **named):
        return function(*arguments, **named)
    return inside

class Later:
    def __init__(self, event): self.event = event
    def __await__(self): return work(self.event).__await__()

class Called:
    def __call__(self, event): return work(event)

class CalledAsync:
    async def __call__(self, event): return await work(event)

    async def method(self, event): return await work(event)
"""
HANDLERS = {
    "coroutine function": "async def main(event): return await work(event)",
    "decorated": "@plain\nasync def main(event): return await work(event)",
    "decorated twice": "main = plain(plain(work))",
    "lambda": "main = lambda event: work(event)",
    "partial": "main = functools.partial(work)",
    "partial of what is decorated": "main = functools.partial(plain(work))",
    "callable object": "main = Called()",
    "asynchronous callable object": "main = CalledAsync()",
    "bound method": "main = CalledAsync().method",
    "object with __await__": "def main(event): return Later(event)",
    "class with __await__": "main = Later",
    "generator coroutine": "@types.coroutine\ndef main(event):\n    return (yield from work(event))",
    "coroutine that returns a coroutine": "async def main(event): return work(event)",
    "coroutine that returns an object": "async def main(event): return Later(event)",
    "task": "async def main(event): return asyncio.create_task(work(event))",
    "gathered": "async def both(event): return (await asyncio.gather(work(event), work(event)))[1]\n"
    "def main(event): return both(event)",
    "future of a loop of its own": "loop = asyncio.new_event_loop()\n"
    "def main(event): return loop.create_task(work(event))",
    "with a context": "@plain\nasync def main(event, context): return await work(event, context)",
    "cached": "@functools.cache\ndef loop(): return asyncio.new_event_loop()\n"
    "def main(event): return loop().run_until_complete(work(event))",
}


@pytest.mark.slow
@pytest.mark.parametrize("handler", HANDLERS.values(), ids=HANDLERS)
def test_an_awaitable_is_awaited_whatever_the_handler_is(handler: str) -> None:
    with Server() as server:
        check_awaited(server, handler)


def check_awaited(server: Server, handler: str) -> None:
    server.post(WORK + handler + "\n")
    for number in range(3):
        assert server.call({"n": number}) == {"worked": number}
    assert server.call({"n": 1, "raise": True}) == {"error": "ValueError: told to (main__.py:5)"}
    assert server.call({"n": 9}) == {"worked": 9}
    assert "Warning" not in server.stderr()
    assert "src/hotwhisk" not in server.stderr()


def test_what_an_action_opened_in_its_loop_is_there_at_the_next_request(server: Server) -> None:
    source = """import asyncio
queue = None
async def work(event):
    global queue
    if queue is None:
        queue = asyncio.Queue()
        asyncio.get_running_loop().call_soon(queue.put_nowait, "first")
    return {"got": await queue.get(), "next": queue.put_nowait("second")}
def main(event): return work(event)
"""
    server.post(source)
    assert [server.call()["got"] for _ in range(2)] == ["first", "second"]


def test_a_handler_may_return_an_awaitable_or_run_a_loop_of_its_own(server: Server) -> None:
    source = """import asyncio
async def work(event): return event
def main(event): return asyncio.run(work(event)) if event["own"] else work(event)
"""
    server.post(source)
    for own in (False, True, False, True):
        assert server.call({"own": own}) == {"own": own}


# -- overlap under the platform -------------------------------------------------------------


@pytest.mark.parametrize("variables", [{}, {"__OW_ALLOW_CONCURRENT": "true"}])
def test_async_handlers_overlap_under_the_platform(variables: dict[str, str]) -> None:
    source = """import asyncio, os
waiting = []
async def main(event, context):
    waiting.append(asyncio.get_running_loop().create_future())
    if len(waiting) == 10:
        for each in waiting:
            each.set_result(None)
    await waiting[event["n"]] if event["n"] < len(waiting) else await waiting[-1]
    print("ran", context.activation_id)
    return {"n": event["n"], "context": context.activation_id, "env": os.environ["__OW_ACTIVATION_ID"]}
"""
    with Server("--openwhisk", env=variables) as server:
        server.post(source)
        connections = [Connection(server.address) for _ in range(10)]
        for number, connection in enumerate(connections):
            connection.send_run({"n": number}, activation_id=f"a{number}")
        answers = [json.loads(each.read_response().body) for each in connections]
        for connection in connections:
            connection.close()
        assert [(each["n"], each["context"]) for each in answers] == [
            (number, f"a{number}") for number in range(10)
        ]
        assert len({each["env"] for each in answers}) == 1  # one environment for all
        lines = server.stdout().splitlines()
        assert sorted(line for line in lines if line != SENTINEL) == [
            f"ran a{n}" for n in range(10)
        ]
        assert lines.count(SENTINEL) == server.stderr().splitlines().count(SENTINEL) == 10


def test_async_handlers_do_not_overlap_where_the_platform_says_so() -> None:
    with (
        Server("--openwhisk", env={"__OW_ALLOW_CONCURRENT": "false"}) as server,
        Rendezvous() as meet,
    ):
        source = actions.plain(1).replace("def main(", "async def main(")
        server.post(source)
        with Connection(server.address) as first, Connection(server.address) as second:
            first.send_run({"hold": meet.path, "token": "first"})
            held = meet.wait_arrival()
            second.send_run({"hold": meet.path, "token": "second"})
            held.release()
            assert first.read_response().value("token") == "first"
            meet.wait_arrival().release()
            assert second.read_response().value("token") == "second"


# -- warnings -------------------------------------------------------------------------------

FORGOTTEN = {
    "in a variable": "def main(event):\n    kept = forgotten()\n    return {}\n",
    "in a coroutine": "async def main(event):\n    kept = forgotten()\n    return {}\n",
    "with a context": "def main(event, context):\n    kept = forgotten()\n    return {}\n",
    "with a context in a coroutine": "async def main(event, context):\n    kept = forgotten()\n"
    "    return {}\n",
    "in a partial": "import functools\ndef work(event):\n    kept = forgotten()\n    return {}\n"
    "main = functools.partial(work)\n",
    "in an object": "class Work:\n    def __call__(self, event):\n        kept = forgotten()\n"
    "        return {}\nmain = Work()\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("source", FORGOTTEN.values(), ids=FORGOTTEN)
def test_a_warning_names_no_file_of_ours(server: Server, source: str) -> None:
    server.post(f"async def forgotten(): pass\n{source}")
    for _ in range(2):
        assert server.call() == {}
    assert "main__.py:" in server.stderr()
    assert "'forgotten' was never awaited" in server.stderr()
    assert "src/hotwhisk" not in server.stderr()


def test_a_coroutine_inside_a_result_is_an_error_and_no_warning() -> None:
    source = "async def inner(): pass\ndef main(event): return {'inner': [inner()]}\n"
    with Server() as server:
        server.post(source)
        response = run_once(server.address, {})
        assert (response.status, "coroutine" in response.error) == (502, True)
        assert "Warning" not in server.stderr()
        assert "src/hotwhisk" not in server.stderr()
