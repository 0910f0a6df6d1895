"""A process for each run: nothing of one run is seen by the next, and every promise holds."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.actions import puppet_source
from tests.support.client import Connection, init_once, run_once
from tests.support.rendezvous import Rendezvous
from tests.support.server import Server
from tests.support.waiting import wait_gone
from tests.support.wire import post, run_request

from . import control

pytestmark = pytest.mark.slow

SENTINEL = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"

COUNTING = """\
import os
runs = []
def main(event):
    runs.append(1)
    return {"pid": os.getpid(), "runs": len(runs), "token": event.get("token")}
"""


@contextmanager
def fresh(
    *arguments: str, source: str = COUNTING, env: Mapping[str, str] | None = None
) -> Iterator[Server]:
    with Server("--fresh", *arguments, env=env) as server:
        server.post(source)
        yield server
        server.end_well()


def states(found: control.Status) -> set[str]:
    return {each["state"] for each in found["generation"]["workers"] if each["pid"]}


def ready(found: control.Status) -> int:
    return sum(each["state"] == "serving" for each in found["generation"]["workers"])


def test_each_run_has_a_process_of_its_own_and_a_kept_connection_stays() -> None:
    with fresh() as server, Connection(server.address) as kept:
        answers = [kept.run({"token": number}).json() for number in range(20)]
        assert [each["token"] for each in answers] == list(range(20))
        assert {each["runs"] for each in answers} == {1}
        assert len({each["pid"] for each in answers}) == 20


def test_a_new_connection_for_each_run_too() -> None:
    with fresh() as server:
        answers = [run_once(server.address, {}).json() for _ in range(20)]
        assert {each["runs"] for each in answers} == {1}
        assert len({each["pid"] for each in answers}) == 20


def test_pipelined_requests_are_answered_in_order_each_by_another_process() -> None:
    with fresh() as server, Connection(server.address) as kept:
        kept.send(b"".join(run_request({"token": number}) for number in range(6)))
        answers = [kept.read_response().json() for _ in range(6)]
        assert [(each["token"], each["runs"]) for each in answers] == [(n, 1) for n in range(6)]
        assert len({each["pid"] for each in answers}) == 6


def test_a_large_body_and_one_that_comes_in_pieces() -> None:
    source = "def main(event): return {'length': len(event['text'])}"
    with fresh(source=source) as server, Connection(server.address) as kept:
        for length in (10, 100_000, 3_000_000, 10):
            assert kept.run({"text": "x" * length}).value("length") == length
        request = run_request({"text": "x" * 100})
        for at in range(0, len(request), 20):
            kept.send(request[at : at + 20])
        assert kept.read_response().value("length") == 100


TRACES = """\
import os, random, sys, tempfile
def main(event):
    there = sorted(os.listdir()), sorted(os.listdir(tempfile.gettempdir()))
    mine = [each for each in os.listdir() if os.path.isfile(each)]
    found = {"there": there, "cwd": os.getcwd() == os.environ["PWD"], "mark": os.environ.get("M"),
             "source": [open(each).read() for each in mine], "drawn": random.random()}
    if "numpy" in sys.modules:
        found["numpy"] = float(sys.modules["numpy"].random.rand())
    os.environ["M"] = "1"
    for each in mine + ["new"]:
        with open(each, "a") as file: file.write("x")
    tempfile.mkdtemp()
    os.chdir("/")
    return found
"""


@pytest.mark.parametrize("libraries", ["", "import numpy\n"])
def test_no_run_sees_files_variables_folder_or_random_numbers_of_another(libraries: str) -> None:
    with fresh(source=libraries + TRACES) as server:
        answers = [run_once(server.address, {}).json() for _ in range(6)]
        same = [{**each, "drawn": 0, "numpy": 0} for each in answers]
        assert same == same[:1] * 6
        assert answers[0]["there"][1] == []
        assert answers[0]["mark"] is None
        assert answers[0]["cwd"]
        assert len({each["drawn"] for each in answers}) == 6
        if libraries:
            assert len({each["numpy"] for each in answers}) == 6


def test_the_folder_of_a_file_that_is_served_stays_the_working_directory(tmp_path: Path) -> None:
    source = tmp_path / "hello.py"
    source.write_text("import os\ndef main(event): return {'cwd': os.getcwd()}")
    with Server("--fresh", str(source)) as server:
        for _ in range(4):
            assert run_once(server.address, {}).value("cwd") == str(tmp_path)
        server.end_well()


def test_functions_on_startup_run_in_each_process_before_it_is_ready() -> None:
    source = """\
import os, hotwhisk
opened = []
@hotwhisk.on_startup
def open_it(): opened.append(os.getpid())
def main(event): return {"opened": opened, "pid": os.getpid()}
"""
    with fresh(source=source) as server:
        for _ in range(5):
            answer = run_once(server.address, {}).json()
            assert answer["opened"] == [answer["pid"]]


def test_atexit_functions_run_once_after_the_answer_and_the_process_ends(tmp_path: Path) -> None:
    source = """\
import atexit, os
def main(event):
    atexit.register(lambda: open(event["at"] + str(os.getpid()), "x").close())
    return {"pid": os.getpid()}
"""
    with fresh(source=source) as server:
        pids = [run_once(server.address, {"at": f"{tmp_path}/"}).value("pid") for _ in range(5)]
        for pid in pids:
            assert wait_gone(pid, 5.0)
        assert {each.name for each in tmp_path.iterdir()} == {str(pid) for pid in pids}


def test_runs_at_once_are_side_by_side_up_to_the_most_and_the_others_follow() -> None:
    with (
        fresh("--workers", "2..4", source=puppet_source(1)) as server,
        Rendezvous() as meet,
        ExitStack() as stack,
    ):
        opened = [stack.enter_context(Connection(server.address)) for _ in range(10)]
        for number, each in enumerate(opened):
            each.send_run({"do": "hold", "at": meet.path, "token": number})
        held = [meet.wait_arrival() for _ in range(4)]
        assert len({each.pid for each in held}) == 4
        found = control.status(server)["generation"]["workers"]
        assert sum(each["generation"] == 1 for each in found) == 4
        seen = {each.pid for each in held}
        for each in held:
            each.release()
        for _ in range(6):
            late = meet.wait_arrival()
            seen.add(late.pid)
            late.release()
        assert len(seen) == 10
        for number, connection in enumerate(opened):
            assert connection.read_response().value("token") == number


def test_idle_connections_keep_no_request_waiting() -> None:
    with fresh() as server, ExitStack() as stack:
        idle = [stack.enter_context(Connection(server.address)) for _ in range(50)]
        begun = time.monotonic()
        for _ in range(10):
            assert run_once(server.address, {}).value("runs") == 1
        assert time.monotonic() - begun < 5.0
        for each in idle:
            assert each.run({}).value("runs") == 1


def test_a_coroutine_has_a_process_of_its_own_too() -> None:
    source = """\
import asyncio, os
runs = []
async def main(event):
    runs.append(1)
    await asyncio.sleep(event.get("seconds", 0))
    return {"pid": os.getpid(), "runs": len(runs)}
"""
    with fresh(source=source) as server, ExitStack() as stack:
        opened = [stack.enter_context(Connection(server.address)) for _ in range(6)]
        for each in opened:
            each.send_run({"seconds": 0.2})
        answers = [each.read_response().json() for each in opened]
        answers += [each.run({}).json() for each in opened]
        assert {each["runs"] for each in answers} == {1}
        assert len({each["pid"] for each in answers}) == 12


@pytest.mark.parametrize("killed", ["template", "serving", "draining"])
def test_a_kill_costs_at_most_the_run_that_it_meets(killed: str) -> None:
    with (
        fresh(source=puppet_source(1)) as server,
        Rendezvous() as meet,
        Connection(server.address) as running,
        Connection(server.address) as kept,
    ):
        running.send_run({"do": "hold", "at": meet.path})
        held = meet.wait_arrival()
        if killed == "template":
            pid = control.status(server)["template"]["pid"]
        else:
            control.wait_until(server, lambda found: killed in states(found), killed)
            pid = control.pids(server, killed)[0]
        os.kill(pid, signal.SIGKILL)
        assert wait_gone(pid, 5.0)
        answers = [kept.run({}) for _ in range(5)]
        assert {each.status for each in answers} == {200}
        held.release()
        assert running.read_response().status == (502 if killed == "draining" else 200)
        assert running.run({}).status == 200
        control.wait_until(
            server, lambda found: (found["template"] or {}).get("pid"), "a template again"
        )


def test_a_killed_run_is_among_the_deaths_of_the_status() -> None:
    with fresh(source=puppet_source(1)) as server:
        assert run_once(server.address, {"do": "kill"}).status == 502
        (death,) = control.status(server)["deaths"]
        assert death["during"] == "a request"


def test_a_run_past_its_deadline_is_answered_and_the_next_one_served() -> None:
    with fresh("--timeout", "0.5", source=puppet_source(1)) as server, Rendezvous() as meet:
        with Connection(server.address) as connection:
            connection.send_run({"do": "spin", "at": meet.path})
            assert meet.wait_arrival().wait_gone(5.0)
            assert connection.read_response().status == 502
        assert run_once(server.address, {}).status == 200


def test_a_malformed_request_is_no_run() -> None:
    with fresh() as server, Connection(server.address) as kept:
        control.wait_until(server, lambda found: ready(found) == 2, "two that stand ready")
        before = control.pids(server, "serving")
        for _ in range(3):
            kept.send(post("/run", b"{"))
            assert kept.read_response().status == 400
        assert control.pids(server, "serving") == before
        assert kept.run({}).value("pid") in before


def test_an_action_that_cannot_be_forked_is_loaded_anew_for_each_run() -> None:
    source = (
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    with fresh(source=source + COUNTING) as server:
        answers = [run_once(server.address, {}).json() for _ in range(4)]
        assert {each["runs"] for each in answers} == {1}
        assert len({each["pid"] for each in answers}) == 4
        assert server.stderr().count("is loaded anew for each run") == 1


def test_each_activation_has_its_output_and_its_sentinels_under_openwhisk() -> None:
    source = "def main(event):\n    print('hello')\n    return {}"
    with fresh("--openwhisk", source=source) as server:
        for _ in range(5):
            assert run_once(server.address, {}).status == 200
        assert server.stdout() == f"hello\n{SENTINEL}\n" * 5
        assert server.stderr() == f"{SENTINEL}\n" * 6 or server.stderr() == f"{SENTINEL}\n" * 5


def test_each_run_has_its_lines_in_a_log_of_json() -> None:
    source = "def main(event):\n    print('hello', event['n'])\n    return {}"
    with Server("--fresh", "--log-format", "json") as server:
        server.post(source)
        for number in range(5):
            assert run_once(server.address, {"n": number}).status == 200
        server.end_well()
        text = server.stdout() + server.stderr()
        for number in range(5):
            assert text.count(f"hello {number}") == 1
        assert text.count('"event":"activation"') == 5, text


def test_a_stop_answers_what_waits_for_a_process() -> None:
    with (
        Server("--fresh", "--workers", "1..2") as server,
        Rendezvous() as meet,
        ExitStack() as stack,
    ):
        server.post(puppet_source(1))
        opened = [stack.enter_context(Connection(server.address)) for _ in range(6)]
        for number, each in enumerate(opened):
            each.send_run({"do": "hold", "at": meet.path, "token": number})
        held = [meet.wait_arrival() for _ in range(2)]
        server.terminate()
        control.wait_until(server, lambda _: "stopping" in server.stderr(), "the stop")
        for each in held:
            each.release()
        for _ in range(4):
            meet.wait_arrival().release()
        for number, connection in enumerate(opened):
            answer = connection.read_response()
            assert (answer.status, answer.value("token")) == (200, number), answer.body
        assert server.wait(10.0) == 0


def test_a_new_version_is_never_answered_by_a_process_of_the_old_one() -> None:
    with fresh(source=puppet_source(1)) as server, Connection(server.address) as kept:
        for version in range(2, 8):
            assert init_once(server.address, puppet_source(version)).status == 200
            assert kept.run({}).value("version") == version
            assert run_once(server.address, {}).value("version") == version


def test_nothing_is_left_in_the_run_folder_but_what_stands_ready() -> None:
    with fresh(
        source="import tempfile\ndef main(event): return {'at': tempfile.mkdtemp()}"
    ) as server:
        run_once(server.address, {})
        control.processes(server)
        before = server.files()
        paths = [Path(run_once(server.address, {}).value("at")) for _ in range(20)]
        control.wait_until(
            server,
            lambda found: (
                {each["state"] for each in found["generation"]["workers"]} <= {"serving", "spare"}
            ),
            "the end of each process",
        )
        assert not [each for each in paths if each.exists()]
        assert server.files() <= before
