"""The template: a worker that it forks has its import, and nothing else of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from hotwhisk.supervisor.watchdog import SPAWN_LIMIT
from tests.support import tree
from tests.support.client import Connection, run_once
from tests.support.server import Server
from tests.support.waiting import stop, wait_few, wait_gone

pytestmark = pytest.mark.slow

SLOW = """\
import os, time
with open({counter!r}, "a") as file:
    file.write("x")
until = time.process_time() + 0.1  # the work of a heavy import
while time.process_time() < until:
    pass
"""
COUNTING = (
    SLOW
    + """
import random
import hotwhisk
AT_IMPORT = os.urandom(8).hex()
SEEN = []
READY = []

@hotwhisk.on_startup
def ready():
    READY.append(os.getpid())

def main(event):
    SEEN.append(1)
    return {{"pid": os.getpid(), "import": AT_IMPORT, "seen": len(SEEN), "ready": READY,
            "drawn": random.random(), "tag": os.environ["HOTWHISK_WORKER"],
            "ppid": os.getppid()}}
"""
)
OFTEN = ("--crash-count", "1000")

ANSWER_LIMIT = 0.4
"""Seconds within which an answer comes though a template is silent; far below its former limit."""

LOAD_LIMIT = 1.5
"""Seconds until a worker is loaded that a silent template had to fork, with the load itself."""


def counting(folder: Path, more: str = "") -> str:
    return COUNTING.format(counter=str(folder / "count")) + more


def imports(folder: Path) -> int:
    return len((folder / "count").read_text())


def status(server: Server) -> Any:
    (path,) = server.run_dir.glob("*.sock")
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(str(path))
        end.sendall(b'{"ask":"status"}\n')
        with end.makefile() as answer:
            return json.loads(answer.readline())


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    assert wait_gone(pid, 10.0)


def everyone(server: Server, workers: int) -> list[Any]:
    """Return one answer of each of so many workers; the requests wait for them."""
    found: dict[int, Any] = {}
    while len(found) < workers:
        connections = [Connection(server.address) for _ in range(2 * workers)]
        for connection in connections:
            answer = json.loads(connection.run({}).body)
            found.setdefault(answer["pid"], answer)
        for connection in connections:
            connection.close()
    return list(found.values())


def test_after_a_death_nothing_is_imported_again(server: Server, tmp_path: Path) -> None:
    server.post(counting(tmp_path))
    first = server.call()
    assert server.call()["seen"] == 2
    end(first["pid"])
    second = server.call()
    assert imports(tmp_path) == 1
    assert second["import"] == first["import"]  # what the import made is there
    assert second["seen"] == 1  # what requests changed is not
    assert second["ready"] == [second["pid"]] != first["ready"]  # its own start, no other process's
    assert second["tag"] == str(second["pid"])
    assert second["ppid"] == first["ppid"] == server.pid


def test_workers_share_one_import_and_draw_different_numbers(tmp_path: Path) -> None:
    with Server("--workers", "3") as server:
        server.post(counting(tmp_path))
        answers = everyone(server, 3)
        assert imports(tmp_path) == 1
        assert len({answer["drawn"] for answer in answers}) == 3


def test_numpy_is_seeded_again_and_its_threads_are_no_obstacle(tmp_path: Path) -> None:
    with Server("--workers", "2") as server:
        more = "\nimport numpy\nrandom = numpy.random\n"
        server.post(counting(tmp_path).replace("import random\n", "") + more)
        answers = everyone(server, 2)
        assert imports(tmp_path) == 1
        assert len({answer["drawn"] for answer in answers}) == 2


def test_a_coroutine_has_one_as_well(server: Server, tmp_path: Path) -> None:
    server.post(counting(tmp_path).replace("def main", "async def main"))
    first = server.call()
    end(first["pid"])
    assert server.call()["import"] == first["import"]
    assert imports(tmp_path) == 1


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (
            "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n",
            "left 1 threads behind",
        ),
        ("if not os.fork(): time.sleep(60)\n", "left a process behind"),
        ("FILE = open(__file__)\n", "open"),
        ("import mmap\nSHARED = mmap.mmap(-1, 4096)\n", "shared memory"),
        ("import multiprocessing\nLOCK = multiprocessing.get_context('fork').Lock()\n", "shared"),
        ("MINE = random.Random(1)\n", "random numbers"),
    ],
    ids=["thread", "process", "file", "memory", "lock", "generator"],
)
def test_what_cannot_be_shared_is_loaded_again(
    server: Server, tmp_path: Path, more: str, why: str
) -> None:
    server.post(counting(tmp_path, more))
    assert why in status(server)["template"]["reason"]
    first = server.call()
    end(first["pid"])
    assert server.call()["import"] != first["import"]
    assert imports(tmp_path) == 2


def test_an_action_that_loads_fast_has_none(server: Server) -> None:
    server.replace(1)
    assert status(server)["template"] is None


def test_where_one_worker_serves_one_version_only_a_further_worker_leaves_one(
    tmp_path: Path,
) -> None:
    with Server("--openwhisk") as server:
        server.post(counting(tmp_path))
        assert status(server)["template"] is None
        end(server.call()["pid"])
        second = server.call()
        assert imports(tmp_path) == 2
        assert status(server)["template"]["pid"]
        end(second["pid"])
        assert server.call()["import"] == second["import"]


def test_a_killed_template_is_forgotten_and_made_again(server: Server, tmp_path: Path) -> None:
    server.post(counting(tmp_path))
    template = status(server)["template"]["pid"]
    first = server.call()
    end(template)
    end(first["pid"])
    second = server.call()
    assert imports(tmp_path) == 2
    assert status(server)["template"]["pid"] != template
    end(second["pid"])
    assert server.call()["import"] == second["import"]
    assert imports(tmp_path) == 2


def test_a_template_that_does_nothing_is_not_waited_for(server: Server, tmp_path: Path) -> None:
    server.post(counting(tmp_path))
    template = status(server)["template"]["pid"]
    stop(template)
    end(server.call()["pid"])
    begun = time.monotonic()
    server.call()
    assert time.monotonic() - begun < LOAD_LIMIT  # there is no other worker
    assert imports(tmp_path) == 2
    assert wait_gone(template, 10.0)


def test_a_silent_template_delays_no_request_and_no_replacement(tmp_path: Path) -> None:
    with Server("--workers", "2", *OFTEN) as server:
        server.post(counting(tmp_path))
        answers = everyone(server, 2)
        template = status(server)["template"]["pid"]
        stop(template)
        end(answers[0]["pid"])
        longest, begun = 0.0, time.monotonic()
        while time.monotonic() - begun < 2 * SPAWN_LIMIT:  # also when its time is up
            asked = time.monotonic()
            server.call()
            assert status(server)["pid"] == server.pid
            longest = max(longest, time.monotonic() - asked)
        assert longest < ANSWER_LIMIT
        assert wait_gone(template, 10.0)
        assert len(everyone(server, 2)) == 2


def test_a_replacement_does_not_wait_for_a_silent_template(tmp_path: Path) -> None:
    with Server("--workers", "2", *OFTEN) as server:
        server.post(counting(tmp_path))
        answers = everyone(server, 2)
        stop(status(server)["template"]["pid"])
        end(answers[0]["pid"])
        begun = time.monotonic()
        server.replace(1)
        assert time.monotonic() - begun < ANSWER_LIMIT
        assert run_once(server.address, {}).value("version") == 1
        # The worker that the template was to fork is of no use now, and is not loaded.
        assert len(wait_few(server.tree, 4, 10.0)) == 4  # supervisor, two workers, spare
        assert imports(tmp_path) == 1
        assert not [each for each in status(server)["deaths"] if each["pid"] == 0]


def test_a_stop_does_not_wait_for_a_silent_template(server: Server, tmp_path: Path) -> None:
    server.post(counting(tmp_path))
    stop(status(server)["template"]["pid"])
    end(server.call()["pid"])
    server.terminate()
    assert server.wait(5.0) == 0


def test_a_template_that_dies_as_it_forks_leaves_its_worker_to_a_load(
    server: Server, tmp_path: Path
) -> None:
    server.post(counting(tmp_path))
    template = status(server)["template"]["pid"]
    stop(template)
    end(server.call()["pid"])
    wait_until_loading(server)
    end(template)
    server.call()
    assert imports(tmp_path) == 2


def wait_until_loading(server: Server) -> None:
    """Wait until the exit is known, and the next worker is there without a process."""
    deadline = time.monotonic() + 10.0
    while not any(each["pid"] == 0 for each in status(server)["generation"]["workers"]):
        assert time.monotonic() < deadline


def test_a_replacement_and_the_stop_end_it(server: Server, tmp_path: Path) -> None:
    server.post(counting(tmp_path))
    template = status(server)["template"]["pid"]
    server.replace(1)
    assert wait_gone(template, 10.0)
    server.post(counting(tmp_path))
    template = status(server)["template"]["pid"]
    server.terminate()
    assert server.wait(10.0) == 0
    assert not tree.stat(template)


def test_one_that_is_not_ready_leaves_no_template(tmp_path: Path) -> None:
    source = counting(tmp_path).replace("READY.append", "READY.absent")
    with Server() as server, Connection(server.address) as connection:
        server.replace(1)
        assert connection.init(source).status == 502
        assert len(wait_few(server.tree, 3, 10.0)) == 3  # supervisor, worker, spare
        assert status(server)["template"] is None


def test_a_worker_that_cannot_live_after_a_fork_is_loaded(tmp_path: Path) -> None:
    # Its function ends each process but the one that imported it.
    more = "\nimport hotwhisk\nIMPORTED = os.getpid()\n\n@hotwhisk.on_startup\ndef ready():\n    if os.getpid() != IMPORTED: os._exit(3)\n"
    with Server(*OFTEN) as server:
        server.post(counting(tmp_path, more))
        end(server.call()["pid"])
        server.call()
        assert imports(tmp_path) == 2
        end(server.call()["pid"])
        server.call()
        assert imports(tmp_path) == 3  # it is not tried twice


def test_many_deaths_leave_nothing(tmp_path: Path) -> None:
    with Server(*OFTEN) as server:
        server.post(counting(tmp_path))
        end(server.call()["pid"])
        server.call()
        assert len(wait_few(server.tree, 4, 10.0)) == 4
        before = server.descriptors()
        for _ in range(20):
            end(server.call()["pid"])
        server.call()
        assert len(wait_few(server.tree, 4, 10.0)) == 4
        # The connection that was just closed may still be held, by worker and supervisor.
        assert abs(server.descriptors() - before) <= 2
        assert imports(tmp_path) == 1
        server.terminate()
        assert server.wait(10.0) == 0
        assert not server.left()
