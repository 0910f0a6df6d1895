"""
``--preload``: a library that passes its trial is there at the fork, another is left out
by name.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.client import Connection
from tests.support.server import Server

from . import control

pytestmark = pytest.mark.slow

LIBRARIES = {
    "good": "import os\nPID = os.getpid()\n",
    "threaded": "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n",
    "leaving": "import os\nos._exit(3)\n",
    "exiting": "raise SystemExit(3)\n",
    "killed": "import os\nos.kill(os.getpid(), 9)\n",
    "failing": "import absent_module\n",
    "raising": "1 / 0\n",
    "hanging": "import threading\nthreading.Event().wait()\n",
    "leaving_a_child": "import os, signal\nif os.fork() == 0:\n    os.setsid()\n    while True: signal.pause()\n",
}
LOOK = """\
import sys, os
FOUND = sorted(sys.modules)
def main(event):
    import good
    return {"there": "good" in FOUND, "others": [n for n in event["names"] if n in FOUND],
            "same": good.PID == os.getpid()}
"""


@contextmanager
def preloading(folder: Path, *arguments: str, **libraries: str) -> Iterator[Server]:
    for name, text in libraries.items():
        (folder / f"{name}.py").write_text(text)
    names = ",".join(libraries)
    env = {"PYTHONPATH": f"{folder}:src"}
    with Server("--preload", names, *arguments, env=env) as server:
        yield server


def test_what_does_not_stand_its_trial_is_left_out_by_name(tmp_path: Path) -> None:
    with preloading(tmp_path, "--init-timeout", "0.5", **LIBRARIES) as server:
        lines = [line for line in server.stderr().splitlines() if "preload" in line]
        told = {line.split(":")[1].split()[-1]: line for line in lines}
        assert told.keys() == LIBRARIES.keys()
        assert "preloaded good: " in told["good"]
        assert "it starts 1 threads" in told["threaded"]
        assert "with exit status 3" in told["leaving"]
        assert "ends the process that imports it" in told["exiting"]
        assert "with signal 9 (SIGKILL)" in told["killed"]
        assert "No module named 'absent_module'" in told["failing"]
        assert "raised ZeroDivisionError" in told["raising"]
        assert "not imported within 0.5 s" in told["hanging"]
        left_out = {each.split(":")[0].split()[-1] for each in control.status(server)["weaknesses"]}
        assert left_out == told.keys() - {"good"}
        server.post(LOOK)
        others = [name for name in LIBRARIES if name not in ("good", "leaving_a_child")]
        assert server.call({"names": others}) == {"there": True, "others": [], "same": False}


def test_a_child_that_a_library_leaves_in_its_trial_is_ended(tmp_path: Path) -> None:
    child = {"leaving_a_child": LIBRARIES["leaving_a_child"]}
    with preloading(tmp_path, **child) as server:
        assert "left out: it starts 1 processes" in server.stderr()
        assert len(server.tree()) == 2  # the supervisor and its spare


def test_two_workers_draw_different_numbers() -> None:
    names = ["random"] + ["numpy.random"] * (importlib.util.find_spec("numpy") is not None)
    source = f"""\
import importlib, os
def main(event):
    draws = [importlib.import_module(name).random() for name in {names}]
    return {{"pid": os.getpid(), "draws": draws}}
"""
    with Server("--preload", ",".join(names), "--workers", "2", ready_timeout=30.0) as server:
        server.post(source)
        found: dict[int, list[float]] = {}
        open_ones = [Connection(server.address) for _ in range(8)]
        for connection in open_ones:
            answer = json.loads(connection.run({}).body)
            found.setdefault(answer["pid"], answer["draws"])
        for connection in open_ones:
            connection.close()
        server.post(source)
        answer = server.call()
        found[answer["pid"]] = answer["draws"]
    assert len(found) >= 2
    for drawn in zip(*found.values(), strict=True):
        assert len(set(drawn)) == len(drawn)


def test_numpy_with_its_threads_is_known_to_be_safe() -> None:
    with Server("--preload", "numpy", ready_timeout=30.0) as server:
        assert "preloaded numpy: " in server.stderr()
        server.post(
            "import sys\nTHERE = 'numpy' in sys.modules\nimport numpy\n"
            "def main(event):\n"
            "    a = numpy.ones((400, 400))\n"
            "    return {'there': THERE, 'sum': float((a @ a).sum())}\n"
        )
        assert server.call() == {"there": True, "sum": 400.0**3}


def test_under_openwhisk_nothing_is_said(tmp_path: Path) -> None:
    with preloading(tmp_path, "--openwhisk", failing="import absent_module\n") as server:
        assert server.stderr() == ""
