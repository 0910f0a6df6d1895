"""Large events and results are the same with orjson and without."""

from __future__ import annotations

import pytest

from tests.support.client import Connection, run_once
from tests.support.server import Server

from . import control

ROWS = [{"id": number, "x": number / 7, "none": None, "text": "é"} for number in range(5000)]
LARGE = 2**64 + 1
SOURCE = f"""\
import enum, os, sys, uuid

class Trap(enum.Enum):
    SET = 1
    @property
    def value(self):
        sys.exit("code of the action was run to write its result")

HARD = {{"nan": float("nan"), "trap": Trap.SET, "uuid": uuid.UUID(int=1), "set": set()}}

def main(event):
    if "pid" in event:
        maps = open("/proc/self/maps").read()
        return {{"pid": os.getpid(), "library": "/orjson" in maps}}
    if "hard" in event:
        return {{"rows": [[0.5, None]] * 20_000, "hard": HARD[event["hard"]]}}
    if "large" in event and event["large"] != {LARGE}:
        raise ValueError(event["large"])
    return {{"seen": "orjson" in sys.modules}} | event
"""


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("--no-faster-json",)], ids=["faster", "stdlib"])
def test_large_events_and_results(arguments: tuple[str, ...]) -> None:
    with Server(*arguments) as server:
        server.post(SOURCE)
        before = run_once(server.address, {"pid": True}).json()
        assert not before["library"]
        for event in ({"rows": ROWS}, {"rows": ROWS, "large": LARGE}, {"text": "x" * 300_000}):
            response = run_once(server.address, event)
            assert response.status == 200, response.body
            assert response.json() == {"seen": False} | event
        for hard, said in (("nan", "NaN"), ("trap", "Trap"), ("uuid", "UUID"), ("set", "set")):
            response = run_once(server.address, {"hard": hard})
            assert response.status == 502
            assert said in response.json()["error"]
        after = run_once(server.address, {"pid": True}).json()
        assert after == before | {"library": not arguments}


# orjson ends the process if it cannot import what it needs.
NO_IMPORTS = {
    "no descriptor": "resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))",
    "a low limit of recursion": "sys.setrecursionlimit(60)",
    "no modules": "sys.modules.clear()",
    "other modules": "sys.modules = {}",
    "an import that fails": "builtins.__import__ = None",
    "nowhere to import from": "sys.path = sys.meta_path = sys.path_hooks = None",
}


@pytest.mark.slow
@pytest.mark.parametrize("how", NO_IMPORTS)
def test_a_large_event_is_read_where_orjson_cannot_be_imported(server: Server, how: str) -> None:
    source = f"""\
import builtins, resource, sys
def main(event):
    if event.get("forbid"):
        {NO_IMPORTS[how]}
    return {{"length": len(event.get("text", ""))}}
"""
    server.post(source)
    with Connection(server.address) as connection:
        assert connection.run({"forbid": True}).status == 200
        for _ in range(3):
            assert connection.run({"text": "x" * 300_000}).value("length") == 300_000
    assert control.status(server)["deaths"] == []
