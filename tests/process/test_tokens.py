"""Two tokens, one to call and one to replace, and their rotation in a server that runs."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import Connection
from tests.support.server import Server
from tests.support.wire import Response, init_request, run_request

from . import actions, control

pytestmark = pytest.mark.slow

SOON = 1.0
SURELY = 10.0
"""Seconds until a change is known under load, also on a machine that does other work."""
"""Seconds within which the token before is refused everywhere."""

SLOW_IMPORT = "sum(range(3_000_000))\n"  # so that a template is worth it


def bearer(token: str) -> str:
    return f"Authorization: Bearer {token}"


def run(server: Server, token: str) -> Response:
    with Connection(server.address) as connection:
        connection.send(run_request({}, bearer(token)))
        return connection.read_response()


def init(server: Server, token: str, version: int, prefix: str = "") -> int:
    with Connection(server.address) as connection:
        connection.send(init_request(prefix + actions.plain(version), bearer(token)))
        return connection.read_response().status


def rotate(file: Path, token: str) -> None:
    """Replace a file by a rename, as Kubernetes and careful programs do."""
    new = file.with_name(f"{file.name}.new")
    new.write_text(f"{token}\n")
    os.rename(new, file)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "call").write_text("call-1\n")
    (tmp_path / "replace").write_text("replace-1\n")
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    files = ("--token-file", str(folder / "call"), "--replace-token-file", str(folder / "replace"))
    with Server(*files, "--workers", "2") as started:
        yield started
        started.end_well()


def test_one_token_calls_and_another_replaces(server: Server, folder: Path) -> None:
    assert init(server, "replace-1", 1) == 200
    assert run(server, "call-1").value("version") == 1
    assert run(server, "replace-1").value("version") == 1
    with Connection(server.address) as connection:
        connection.send(init_request(actions.plain(2), bearer("call-1")))
        refused = connection.read_response()
        assert refused.status == 403
        assert "this token is for calls" in str(refused.error)
        connection.send(run_request({}, bearer("call-1")))
        assert connection.read_response().value("version") == 1
    (folder / "new.py").write_text(actions.plain(3))
    for file, code in (("call", 1), ("replace", 0)):
        words = ["replace", "--url", server.url, "--token-file", str(folder / file)]
        done = subprocess.run(
            [sys.executable, "-m", "hotwhisk", *words, str(folder / "new.py")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
    assert run(server, "call-1").value("version") == 3


def test_a_new_token_is_good_at_once_and_the_old_one_is_refused_soon(
    server: Server, folder: Path
) -> None:
    assert init(server, "replace-1", 1, SLOW_IMPORT) == 200
    control.wait_until(server, lambda _: len(control.pids(server, "serving")) == 2, "two workers")
    with Connection(server.address) as kept:
        kept.send(run_request({}, bearer("call-1")))
        assert kept.read_response().status == 200
        rotate(folder / "call", "call-2")
        changed = time.monotonic()
        kept.send(run_request({}, bearer("call-2")))
        assert kept.read_response().status == 200
        while run(server, "call-1").status != 401:
            assert time.monotonic() - changed < SOON
        control.wait_until(server, lambda _: "a token was replaced" in server.stderr(), "the line")
        for pid in control.pids(server, "serving"):
            os.kill(pid, 9)
        for _ in range(10):  # fresh workers, of a template
            assert run(server, "call-1").status == 401
            assert run(server, "call-2").status == 200
    rotate(folder / "replace", "replace-2")
    changed = time.monotonic()
    assert init(server, "replace-2", 2) == 200
    while (status := init(server, "replace-1", 3, "no source(")) != 401:
        assert status == 502
        assert time.monotonic() - changed < SOON
    assert run(server, "call-1").status == 401
    assert run(server, "call-2").value("version") == 2


def test_a_token_that_is_replaced_while_a_version_loads_is_refused_in_each_fresh_run(
    folder: Path,
) -> None:
    """The template is forked from a process that has not been told of the new token yet."""
    os.mkfifo(folder / "gate")
    waits = f"open({str(folder / 'gate')!r}).read()\n{SLOW_IMPORT}"
    with Server("--token-file", str(folder / "call"), "--fresh") as server:
        with Connection(server.address) as connection:
            connection.send(init_request(waits + actions.plain(1), bearer("call-1")))
            with open(folder / "gate", "w", encoding="utf-8"):  # once the version loads
                rotate(folder / "call", "call-2")
                control.wait_until(
                    server, lambda _: "a token was replaced" in server.stderr(), "the line"
                )
            assert connection.read_response().status == 200
        assert isinstance(control.status(server)["template"]["pid"], int)
        assert [run(server, "call-1").status for _ in range(5)] == [401] * 5
        assert [run(server, "call-2").status for _ in range(5)] == [200] * 5
        assert [run(server, "call-1").status for _ in range(5)] == [401] * 5
        server.end_well()


def test_an_idle_server_learns_it_too(server: Server, folder: Path) -> None:
    assert init(server, "replace-1", 1) == 200
    with Connection(server.address) as kept:
        kept.send(run_request({}, bearer("call-1")))
        assert kept.read_response().status == 200
        rotate(folder / "call", "call-2")
        select.select([], [], [], SOON)
        kept.send(run_request({}, bearer("call-1")))
        assert kept.read_response().status == 401


def test_a_sighup_reads_the_files(folder: Path) -> None:
    (folder / "hello.py").write_text(actions.plain(1))
    with Server("--token-file", str(folder / "call"), str(folder / "hello.py")) as server:
        rotate(folder / "call", "call-2")
        os.kill(server.pid, 1)
        control.wait_until(server, lambda found: found["generation"]["number"] == 2, "a reload")
        assert "a token was replaced" in server.stderr()
        assert run(server, "call-1").status == 401
        assert run(server, "call-2").status == 200
        server.end_well()


def test_a_broken_file_keeps_the_token_and_says_so(server: Server, folder: Path) -> None:
    assert init(server, "replace-1", 1) == 200
    (folder / "call").write_text("")
    control.wait_until(server, lambda _: "token before it stays" in server.stderr(), "the line")
    assert run(server, "call-1").status == 200
    assert run(server, "").status == 401
    rotate(folder / "call", "call-2")
    assert run(server, "call-2").status == 200
    assert server.stderr().count("token before it stays") == 1


Sent = tuple[float, float, str, int]
"""When a request was sent, when it was answered, with which token and which status."""


class Caller:
    """A client that calls without a pause, with the token of the moment on one connection."""

    def __init__(self, server: Server, number: int) -> None:
        self.token = "call-0"
        self.ending = False
        self.sent: list[Sent] = []
        self._server = server
        self._number = number
        self._answered = threading.Condition()
        self._thread = threading.Thread(target=self._call)
        self._thread.start()

    def end(self) -> None:
        self.ending = True
        self._thread.join()

    def wait_answer(self, token: str, status: int) -> None:
        """Wait until the latest request had this token and this status."""
        with self._answered:
            found = self._answered.wait_for(
                lambda: self.sent and self.sent[-1][2:] == (token, status), SURELY
            )
        assert found, f"not within {SURELY} s: {status} for {token}"

    def _call(self) -> None:
        with Connection(self._server.address) as connection:
            while not self.ending:
                began, token = time.monotonic(), self.token
                connection.send(run_request({"token": self._number}, bearer(token)))
                answer = connection.read_response()
                assert answer.status == 401 or answer.value("token") == self._number
                with self._answered:
                    self.sent.append((began, time.monotonic(), token, answer.status))
                    self._answered.notify()


def check(sent: list[Sent], changes: list[tuple[float, float]]) -> None:
    """Check each answer but those to a token soon after its change."""
    begins = [0.0, *(after for _, after in changes)]
    ends = [*(before for before, _ in changes), float("inf")]
    for began, ended, token, status in sent:
        number = int(token.partition("-")[2])
        assert began >= begins[number]
        if ended < ends[number]:
            assert status == 200, (token, status)
        elif began > ends[number] + SURELY:
            assert status == 401, (token, status)


def test_a_rotation_under_load_gives_no_wrong_answer(server: Server, folder: Path) -> None:
    rotate(folder / "call", "call-0")
    assert init(server, "replace-1", 1) == 200
    callers = [Caller(server, number) for number in range(8)]
    changes: list[tuple[float, float]] = []
    try:
        for turn in range(1, 11):
            before = time.monotonic()
            rotate(folder / "call", f"call-{turn}")
            changes.append((before, time.monotonic()))
            for caller in callers[::2]:
                caller.token = f"call-{turn}"
            for caller in callers[1::2]:  # goes on with the token before, until it is refused
                caller.wait_answer(f"call-{turn - 1}", 401)
                caller.token = f"call-{turn}"
            for caller in callers:
                caller.wait_answer(f"call-{turn}", 200)
    finally:
        for caller in callers:
            caller.end()
    check([each for caller in callers for each in caller.sent], changes)
