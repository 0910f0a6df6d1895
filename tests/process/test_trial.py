"""A version is tried on copies of real requests before it becomes current."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.client import run_once
from tests.support.server import Server
from tests.support.trial import Posted, Traffic, post_trial
from tests.support.wire import Response

from . import control

pytestmark = pytest.mark.slow

ECHO = """\
import os
def main(event):
    return {"event": event, "version": %d} if "number" in event else {"event": event}
"""
OLD = ECHO % 1
SAME = ECHO % 2
OTHER = "def main(event):\n    return {'event': event, 'more': [1]}\n"
LATE = 20.0


def current(server: Server) -> int:
    """Return the number of the current generation."""
    found = control.status(server)["generation"]["number"]
    assert isinstance(found, int)
    return found


def tried(server: Server, source: str, clients: int = 2, **trial: object) -> Response:
    """Post a version that is tried while clients call, who notice nothing; return the verdict."""
    with Traffic(server.address, clients) as traffic:
        response = post_trial(server.address, source, **trial)
    assert not traffic.problems
    assert traffic.answered
    return response


def wait_trial(server: Server, least: int = 0) -> int:
    """Wait for a trial with so many compared copies; return the process of the new version."""
    control.wait_until(
        server,
        lambda found: found["trial"] and found["trial"]["compared"] >= least,
        "a trial",
        LATE,
    )
    return control.pid(server, "trial")


def test_a_version_that_answers_alike_becomes_current(server: Server) -> None:
    server.post(OLD)
    response = tried(server, SAME, copies=50)
    assert response.json() == {"ok": True, "trial": "the trial passed: 50 copies, none differs"}
    assert current(server) == response.generation == 2
    assert run_once(server.address, {"number": 1}).value("version") == 2
    log = server.stderr()
    assert "generation 2 is on trial: up to 50 copies of requests, up to 60 s" in log
    assert "…): the trial passed: 50 copies, none differs" in log


def test_a_version_that_answers_otherwise_is_refused_with_examples(server: Server) -> None:
    server.post(OLD)
    response = tried(server, OTHER, copies=50)
    assert response.status == 409
    assert response.error == (
        "the trial refused it: 3 of 3 copies differ:\n  result.more: (absent) before, [1] now"
    )
    assert current(server) == 1
    assert "a version was refused; generation 1 goes on: the trial refused it" in server.stderr()
    assert control.status(server)["inits"][-1]["ok"] is False


def test_what_is_ignored_may_differ(server: Server) -> None:
    source = "import time\ndef main(event):\n    return {'at': time.time_ns()}  # %d\n"
    server.post(source % 1)
    assert tried(server, source % 2, copies=5).status == 409
    assert tried(server, source % 2, copies=5, ignore=[r"^\d{15,}$"]).status == 200


def test_the_time_is_over_before_enough_copies_came(server: Server) -> None:
    server.post(OLD)
    posted = Posted(server.address, SAME, copies=1000, seconds=1)
    wait_trial(server)
    run_once(server.address, {})
    response = posted.verdict()
    assert response.value("trial") == (
        "the trial passed: 1 copy, none differs; only 1 of 1000 came within 1 s"
    )
    assert current(server) == 2


def test_without_a_request_nothing_is_proved(server: Server) -> None:
    server.post(OLD)
    response = post_trial(server.address, SAME, copies=1, seconds=1)
    assert response.status == 409
    assert "no request came within 1 s" in str(response.error)
    assert current(server) == 1


def test_the_first_version_has_nothing_to_be_compared_with(server: Server) -> None:
    response = post_trial(server.address, OLD, copies=10)
    assert response.value("trial") == "no trial: there was no version to compare it with"
    assert current(server) == 1


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("os._exit(3)", "it was ended by exit status 3, after 0 copies"),
        ("os.kill(os.getpid(), 9)", "it was ended by signal 9 (SIGKILL), after 0 copies"),
    ],
)
def test_its_death_is_no_callers_matter(server: Server, end: str, told: str) -> None:
    server.post(OLD)
    response = tried(server, f"import os\ndef main(event):\n    {end}\n", copies=20)
    assert (response.status, response.error) == (409, f"the trial refused it: {told}")
    assert current(server) == 1
    assert server.stderr().count("a version was refused") == 1


def test_its_hang_is_no_callers_matter() -> None:
    with Server("--timeout", "1") as server:
        server.post(OLD)
        response = tried(server, "import time\ndef main(event):\n    time.sleep(600)\n", copies=20)
        assert response.status == 409
        assert "it did not answer a copy within 1 s, after 0 copies" in str(response.error)
        assert current(server) == 1
        server.end_well()


def test_a_process_that_is_stopped_is_refused_too() -> None:
    with Server("--timeout", "1") as server:
        server.post(OLD)
        posted = Posted(server.address, SAME, copies=10**6)
        with Traffic(server.address) as traffic:
            os.kill(wait_trial(server, 1), signal.SIGSTOP)
            assert posted.verdict().status == 409
        assert not traffic.problems
        server.end_well()


def test_an_old_worker_that_dies_ends_no_trial(server: Server) -> None:
    server.post(OLD)
    posted = Posted(server.address, SAME, copies=1000)
    with Traffic(server.address) as traffic:
        wait_trial(server, 20)
        os.kill(control.pid(server, "serving"), signal.SIGKILL)
        assert posted.verdict().status == 200
    assert len(traffic.problems) <= 2, traffic.problems
    assert current(server) == 2


def test_a_roll_back_does_not_wait_for_it(server: Server) -> None:
    server.post(OLD)
    server.post(ECHO % 3)
    posted = Posted(server.address, SAME, copies=10, seconds=600)
    wait_trial(server)
    assert control.ask(server, "rollback")["ok"]
    assert "a roll-back came first" in str(posted.verdict().error)
    assert current(server) == 4


def test_a_stop_does_not_wait_for_it() -> None:
    with Server() as server:
        server.post(OLD)
        posted = Posted(server.address, SAME, copies=10, seconds=600)
        wait_trial(server)
        server.end_well()
        assert posted.verdict().status == 503


def test_a_later_version_waits_for_it(server: Server) -> None:
    server.post(OLD)
    posted = Posted(server.address, SAME, copies=10, seconds=600)
    wait_trial(server)
    later = Posted(server.address, ECHO % 3, copies=1, seconds=600)
    with Traffic(server.address):
        assert posted.verdict().status == 200
        assert later.verdict().status == 200
    assert current(server) == 3


@pytest.mark.parametrize("workers", ["1", "3"])
def test_coroutines_and_several_workers_are_tried(workers: str) -> None:
    source = (
        "import asyncio\nasync def main(event):\n    await asyncio.sleep(0)\n    return event\n"
    )
    with Server("--workers", workers) as server:
        server.post(source)
        assert tried(server, f"{source}# 2\n", 6, copies=100).status == 200
        assert tried(server, source.replace("return event", "return {}"), 6, copies=9).status == 409
        server.end_well()


def test_large_requests_and_answers_are_compared(server: Server) -> None:
    server.post(OLD)
    posted = Posted(server.address, SAME, copies=3)
    wait_trial(server)
    with Traffic(server.address, text="x" * 500_000):
        assert posted.verdict().status == 200
    posted = Posted(server.address, OTHER, copies=3)
    wait_trial(server)
    with Traffic(server.address, text="x" * 500_000):
        assert posted.verdict().status == 409


PRINTS = """\
import os, sys
def main(event):
    print("out of %d")
    print("err of %d", file=sys.stderr)
    os.system("echo child of %d")
    return {"event": event}
"""


def test_what_it_prints_has_a_mark(server: Server) -> None:
    server.post(OLD)
    assert tried(server, PRINTS % (2, 2, 2), copies=5).status == 200
    out, err = server.stdout(), server.stderr()
    assert out.count("[trial of generation 2] out of 2\n") == 5
    assert out.count("[trial of generation 2] child of 2\n") == 5
    assert err.count("[trial of generation 2] err of 2\n") == 5
    before = len(re.findall("^out of 2$", out, re.MULTILINE))
    run_once(server.address, {})
    out = server.stdout()
    assert len(re.findall("^out of 2$", out, re.MULTILINE)) == before + 1
    assert out.count("[trial of generation 2]") == 10


def test_in_a_log_of_json_it_has_a_mark_and_no_activation() -> None:
    with Server("--log-format", "json") as server:
        server.post(OLD)
        assert tried(server, PRINTS % (2, 2, 2), 1, copies=5).status == 200
        server.end_well()
        lines = [json.loads(each) for each in server.stdout().splitlines()]
    marked = [each for each in lines if each.get("trial")]
    assert len(marked) == 15
    assert {each["generation"] for each in marked} == {2}
    assert not any("activation_id" in each for each in marked)


def test_nothing_is_counted_for_a_copy(server: Server) -> None:
    server.post(OLD)
    assert tried(server, OTHER, copies=20).status == 409
    rows = {row["generation"]: row for row in control.status(server)["counts"]}
    assert rows.get(2, {"requests": 0})["requests"] == 0


@pytest.mark.parametrize("option", ["--fresh", "--cloudevents"])
def test_with_some_options_there_is_no_trial(option: str) -> None:
    with Server(option) as server:
        server.post(OLD)
        response = post_trial(server.address, SAME, copies=1)
        assert response.status == 400
        assert option in str(response.error)
        server.end_well()


def test_a_wrong_wish_is_refused(server: Server) -> None:
    server.post(OLD)
    for trial in ({"copies": 0}, {"copies": 1, "ignore": ["("]}, {"copies": 1, "x": 1}):
        response = post_trial(server.address, SAME, **trial)
        assert response.status == 400
        assert "`trial`" in str(response.error)
    assert current(server) == 1


def command(server: Server, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "hotwhisk", "replace", "--url", server.url, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HOTWHISK_RUN_DIR": str(server.run_dir)},
    )


def test_the_command_tells_the_verdict(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "hello.py"
    server.post(OLD)
    for source, status, told in (
        (SAME, 0, "the trial passed: 20 copies, none differs\n"),
        (OTHER, 1, "  result.more: (absent) before, [1] now\nthe current version goes on\n"),
    ):
        file.write_text(source)
        with Traffic(server.address):
            process = command(server, "--trial", "20", "--for", "30", str(file))
            out, err = process.communicate(timeout=LATE)
        assert process.returncode == status, err
        assert (out + err).endswith(told)
