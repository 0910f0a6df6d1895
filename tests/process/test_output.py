"""The output of actions: read, read slowly, or not at all."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.prove.output import DEADLINE, ENDS, SENTINEL, WHOLE, source
from tests.support import sinks
from tests.support.client import Connection, init_once, run_once
from tests.support.server import Server
from tests.support.sinks import Sink

from . import control
from .programs import python

pytestmark = pytest.mark.slow

AGAIN = {"PROXY_ALLOW_REINIT": "1"}
BUFFERED = {"PYTHONUNBUFFERED": ""}
"""The default of Python, whatever the environment of this test is."""

PYTHON = shlex.quote(sys.executable)
PROMPTLY = 3.0

BROKEN = """
raise RuntimeError("it does not load")
"""


@pytest.mark.parametrize("end", ENDS)
def test_a_line_that_was_printed_is_in_the_log_whatever_ends_the_action(end: str) -> None:
    with (
        sinks.pipe() as sink,
        Server(
            "--timeout", str(DEADLINE), "--crash-count", "99", env=BUFFERED, output=sink.writing
        ) as server,
    ):
        server.post(source(1))
        ways = WHOLE[:2] if end == "hang" else WHOLE
        for say in ways:
            with Connection(server.address) as connection:
                connection.send_run({"say": say, "end": end})
                connection.read_response()
        text = sink.read_until(lambda taken: len(said(taken)) == len(ways))
        assert len(said(text)) == len(ways)


def said(text: bytes) -> list[bytes]:
    return [line for line in text.splitlines() if line in (b"line", b"WARNING:root:line")]


def test_a_failed_load_is_answered_at_once_with_an_unread_log() -> None:
    with (
        sinks.pipe() as sink,
        Server("--openwhisk", env=AGAIN, output=sink.writing) as server,
    ):
        server.post(source(1))
        sink.fill()
        began = time.monotonic()
        answer = init_once(server.address, BROKEN)
        assert answer.status == 502
        assert run_once(server.address, {}).value("version") == 1
        assert time.monotonic() - began < PROMPTLY


def test_an_error_of_the_action_is_answered_at_once_with_an_unread_log() -> None:
    with sinks.pipe() as sink, Server("--openwhisk", output=sink.writing) as server:
        server.post("def main(event):\n    raise ValueError('wrong')\n")
        sink.fill()
        began = time.monotonic()
        assert run_once(server.address, {}).error
        assert time.monotonic() - began < PROMPTLY


FLOODING = """
import threading
def flood():
    while True:
        os.write(1, b"." * 65536)
threading.Thread(target=flood, daemon=True).start()
serve(lambda request: {"version": VERSION})
"""


@pytest.mark.alone  # one processor is busy with the flood, another with dropping it
def test_a_program_that_floods_an_unread_log_is_answered_and_replaced() -> None:
    with sinks.pipe() as sink, Server("--openwhisk", env=AGAIN, output=sink.writing) as server:
        for version in (1, 2):
            began = time.monotonic()
            server.post(python(FLOODING.replace("VERSION", str(version))))
            for _ in range(3):
                assert run_once(server.address, {}).value("version") == version
            assert time.monotonic() - began < PROMPTLY
        assert control.status(server)["dropped"]["bytes"] > 0


@pytest.mark.parametrize("profile", [(), ("--openwhisk",)], ids=["plain", "openwhisk"])
@pytest.mark.parametrize("kind", sinks.UNREAD.values(), ids=sinks.UNREAD)
def test_a_stop_does_not_wait_for_a_reader(
    profile: tuple[str, ...], kind: Callable[[], AbstractContextManager[Sink]]
) -> None:
    with kind() as sink, Server(*profile, "--drain-timeout", "1", output=sink.writing) as server:
        server.post(source(1))
        sink.fill()
        with Connection(server.address) as flooding:
            flooding.send_run({"say": "flood"})
            control.wait_until(server, lambda found: found["connections"], "the flood began")
            began = time.monotonic()
            server.terminate()
            assert server.wait(10.0) == 0
            assert time.monotonic() - began < 1.0 + PROMPTLY


def test_the_status_says_what_could_not_be_written() -> None:
    with sinks.pipe() as sink, Server("--openwhisk", output=sink.writing) as server:
        server.post(source(1))
        assert control.status(server)["dropped"] == {"sentinels": 0, "bytes": 0}
        assert "could not be written" not in control.command(server, "status").stdout
        sink.fill()
        for _ in range(3):
            assert run_once(server.address, {}).value("version") == 1
        assert control.status(server)["dropped"] == {"sentinels": 6, "bytes": 0}
        said = control.command(server, "status").stdout
        assert "could not be written, because it is not read: 6 sentinels and 0 bytes" in said


@pytest.mark.parametrize("profile", ["", "--openwhisk"], ids=["plain", "openwhisk"])
@pytest.mark.parametrize("end", [">/dev/full 2>&1", ">&- 2>&-", "> >(true)", "> >(true) 2>&1"])
def test_a_log_that_cannot_be_written_fails_no_run(profile: str, end: str) -> None:
    serve = f"exec {end}; exec {PYTHON} -m hotwhisk serve {profile}"
    with Server(command=["bash", "-c", serve]) as server:
        server.post(source(1))
        for say in ("print", "stderr", "log", "part", "flood"):
            answer = run_once(server.address, {"say": say})
            assert answer.value("version") == 1, (say, answer.body)


def test_a_slow_reader_gets_whole_lines() -> None:
    """It reads a little at times, while two workers print: each sentinel is a line of its own."""
    with (
        sinks.pipe() as sink,
        Server("--openwhisk", "--workers", "2", output=sink.writing) as server,
    ):
        server.post(source(1))
        sink.fill()
        for _ in range(8):
            with Connection(server.address) as calling:
                calling.send_run({"say": "print"})
                sink.read(8192)
                assert calling.read_response().value("version") == 1
        text = sink.read_until(lambda taken: taken.count(SENTINEL) == 16)
        found = [line for line in text.split(b"\n") if b"XXX" in line or b"line" in line]
        assert set(found) == {SENTINEL, b"line"}


def test_a_killed_worker_that_was_printing_leaves_no_sentinel_within_its_line() -> None:
    with sinks.pipe() as sink, Server("--openwhisk", output=sink.writing) as server:
        server.post("def main(event):\n    print('x' * 200_000)\n")
        with Connection(server.address) as printing:
            printing.send_run({})
            sink.read_until(lambda taken: len(taken) > 1000)
            os.kill(control.pid(server, "serving"), signal.SIGKILL)
            text = sink.read_until(lambda taken: taken.count(SENTINEL + b"\n") == 2)
            assert printing.read_response().error
        assert text.endswith(b"x\n" + 2 * (SENTINEL + b"\n"))
