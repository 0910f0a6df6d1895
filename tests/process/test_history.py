"""A server that keeps its versions in a state folder: restarts, roll-backs, folders in trouble."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process import control
from tests.process.folder_watch import FolderWatch
from tests.process.history import kept, listed, version, wait_written
from tests.process.test_watch import wait_note
from tests.support.actions import version_source
from tests.support.client import run_once
from tests.support.server import Server
from tests.support.waiting import wait_gone

pytestmark = pytest.mark.slow


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a FILE, version 100."""
    path = tmp_path / "hello.py"
    path.write_text(version_source(100))
    return path


def begun(state: Path, *arguments: object) -> Server:
    return Server("--state", str(state), *map(str, arguments))


def kill(server: Server) -> None:
    os.kill(server.pid, signal.SIGKILL)
    assert server.wait(10.0) is not None


def test_a_restart_begins_with_the_version_that_was_current(state: Path) -> None:
    with begun(state) as server:
        for number in (1, 2, 3):
            server.replace(number)
        first = control.status(server)["generation"]
        server.end_well()
    for _ in range(2):
        with begun(state) as server:
            assert version(server) == 3
            again = control.status(server)["generation"]
            assert (again["number"], again["digest"]) == (first["number"], first["digest"])
            assert "generation 3 (by replace, " in server.stderr()
            assert "serving on" in server.stderr()
            assert "· generation 3 is current again" in server.stderr()
            server.end_well()


def test_after_kill_9_the_version_that_was_written_is_current(state: Path) -> None:
    with begun(state) as server:
        server.replace(1)
        server.replace(2)
        wait_written(server)
        kill(server)
    with begun(state) as server:
        assert version(server) == 2
        assert kept(server) == [2, 1]


def test_a_file_that_has_not_changed_does_not_take_back_a_replacement(
    state: Path, file: Path
) -> None:
    with begun(state, file) as server:
        server.replace(2)
        server.end_well()
    with begun(state, file) as server:
        assert version(server) == 2
        assert "it became current after hello.py, which has not changed since" in server.stderr()
        os.kill(server.pid, signal.SIGHUP)
        wait_note(server, "generation 3 current")
        assert version(server) == 100
        server.end_well()
    with begun(state, file) as server:
        assert version(server) == 100
        assert "hello.py was current, and is loaded as it is now" in server.stderr()


def test_a_file_that_was_edited_is_what_is_served(state: Path, file: Path) -> None:
    with begun(state, file) as server:
        server.replace(2)
        server.end_well()
    file.write_text(version_source(101))
    with begun(state, file) as server:
        assert version(server) == 101
        assert "hello.py is loaded: it has changed; hotwhisk rollback 2" in server.stderr()
        assert control.command(server, "rollback", "2").returncode == 0
        assert version(server) == 2


def test_a_roll_back_outlives_a_restart(state: Path, file: Path) -> None:
    with begun(state, file) as server:
        server.replace(2)
        assert control.command(server, "rollback").returncode == 0
        server.end_well()
    with begun(state, file) as server:
        assert version(server) == 100
        assert control.status(server)["generation"]["number"] == 3
        assert listed(server)[0]["how"] == "rollback"


def test_restarts_with_the_same_file_forget_no_earlier_version(state: Path, file: Path) -> None:
    with begun(state) as server:
        server.replace(1)
        server.end_well()
    for _ in range(4):
        with begun(state, file) as server:
            assert version(server) == 100
            server.end_well()
    with begun(state, file) as server:
        assert [each["how"] for each in listed(server)] == ["file", "replace"]
        assert control.command(server, "rollback").returncode == 0
        assert version(server) == 1


def test_a_file_that_does_not_load_leaves_what_was_current(state: Path, file: Path) -> None:
    with begun(state, file) as server:
        server.end_well()
    file.write_text("def main(event:\n")
    with begun(state, file) as server:
        assert version(server) == 100
        assert "generation 2 does not load, so generation 1 is loaded: " in server.stderr()


def test_roll_back_to_each_version_that_is_kept(state: Path) -> None:
    with begun(state) as server:
        for number in (1, 2, 3, 4):
            server.replace(number)
            wait_written(server)
        for target in (2, 1, 4, 3):
            done = control.command(server, "rollback", str(target))
            assert done.returncode == 0, done.stderr
            assert version(server) == target
        refused = control.command(server, "rollback", "99")
        assert refused.returncode == 1
        assert "generation 99 is not kept; kept: " in refused.stderr
        shown = control.command(server, "history").stdout.splitlines()
        assert shown[0].split() == ["generation", "digest", "since", "came", "by", "state"]
        assert shown[1].split()[0] == "8"
        assert shown[1].endswith("rollback to 3  current")
        assert len(shown) == 9


def test_without_a_state_folder_the_history_is_what_is_in_memory() -> None:
    with Server() as server:
        for number in (1, 2, 3):
            server.replace(number)
        assert kept(server) == [3, 2]
        assert "--state FOLDER keeps them" in control.command(server, "history").stdout
        assert control.command(server, "rollback").returncode == 0
        assert version(server) == 2
        assert control.command(server, "rollback", "3").returncode == 0
        assert version(server) == 3


def test_no_more_than_ten_versions_are_kept(state: Path) -> None:
    with begun(state) as server:
        for number in range(1, 14):
            server.replace(number)
            wait_written(server)
        assert kept(server) == list(range(13, 3, -1))
        assert len(listed(server)) == 13
        server.end_well()
    assert len(list(state.glob("*.version"))) <= 11


def test_a_fresh_worker_needs_no_state_folder(state: Path) -> None:
    with begun(state) as server:
        server.replace(1)
        server.end_well()
    with begun(state) as server:
        assert version(server) == 1
        for path in state.iterdir():
            path.unlink()
        (pid,) = control.pids(server, "serving")
        os.kill(pid, signal.SIGKILL)
        assert wait_gone(pid, 10.0)
        assert version(server) == 1


def test_environment_and_archive_are_restored_and_only_the_owner_reads_them(
    state: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "action"
    folder.mkdir()
    (folder / "part.py").write_text("PART = 'in the archive'\n")
    (folder / "__main__.py").write_text(
        "import os\nfrom part import PART\n"
        "def handle(event): return {'part': PART, 'secret': os.environ['SECRET']}\n"
    )
    expected = {"part": "in the archive", "secret": "42"}
    with begun(state) as server:
        options = ("--url", server.url, "--main", "handle", "-e", "SECRET=42", str(folder))
        subprocess.run([sys.executable, "-m", "hotwhisk", "replace", *options], check=True)
        assert run_once(server.address, {}).json() == expected
        server.end_well()
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in state.iterdir()} == {0o600}
    with begun(state) as server:
        assert run_once(server.address, {}).json() == expected


def test_a_version_that_was_served_where_it_lies_is_restored_with_its_sources(
    state: Path, tmp_path: Path
) -> None:
    (tmp_path / "part.py").write_text("PART = 1\n")
    path = tmp_path / "hello.py"
    path.write_text("from part import PART\ndef main(event): return {'version': PART}\n")
    with begun(state, path) as server:
        assert version(server) == 1
        server.end_well()
    (tmp_path / "part.py").unlink()
    path.unlink()
    with begun(state) as server:
        assert version(server) == 1


def test_a_second_server_on_the_folder_is_told_and_serves(state: Path) -> None:
    with begun(state) as first, begun(state) as second:
        assert f"--state {state}: another server uses it" in second.stderr()
        assert second.stderr().count("--state") == 1
        first.replace(1)
        second.replace(2)
        wait_written(first)
        assert (version(first), version(second)) == (1, 2)
    with begun(state) as server:
        assert version(server) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"hotwhisk_history": 1, "versions": [7]}'])
def test_a_damaged_history_is_told_in_one_line_and_stops_no_start(state: Path, text: str) -> None:
    with begun(state) as server:
        server.replace(1)
        server.end_well()
    (state / "history.json").write_text(text)
    with begun(state) as server:
        assert run_once(server.address, {}).status == 502
        assert server.stderr().count("--state") == 1
        assert "history.json is damaged" in server.stderr()
        server.replace(2)
        server.end_well()
    with begun(state) as server:
        assert version(server) == 2


def test_an_idle_server_writes_a_history_that_could_not_be_written_before(state: Path) -> None:
    with begun(state) as server, FolderWatch() as watch:
        aside = state.rename(state.with_name("aside"))
        server.replace(1)
        control.wait_until(server, lambda _: "is not kept" in server.stderr(), "a failure")
        aside.rename(state)
        watch.add(state)
        assert watch.wait_created()[0] == ".1.version.new"
        wait_written(server)
        kill(server)
    with begun(state) as server:
        assert version(server) == 1


def test_a_damaged_version_is_told_and_the_one_before_it_is_loaded(state: Path) -> None:
    with begun(state) as server:
        server.replace(1)
        server.replace(2)
        wait_written(server)
        server.end_well()
    path = state / "2.version"
    path.write_bytes(path.read_bytes().replace(b"version", b"vergion"))
    with begun(state) as server:
        assert version(server) == 1
        line = f"the kept version {path} is damaged"
        assert f"generation 2 does not load, so generation 1 is loaded: {line}" in server.stderr()
        assert listed(server)[0]["rollback_of"] == 1


@pytest.mark.parametrize("what", ["foreign", "file", "open to others", "no room for a folder"])
def test_a_folder_that_cannot_be_used_is_told_in_one_line(
    state: Path, file: Path, what: str
) -> None:
    if what == "foreign":
        state.mkdir()
        (state / "thesis.txt").write_text("mine")
    elif what == "file":
        state.write_text("a file")
    elif what == "open to others":
        state.mkdir()
        state.chmod(0o777)
    else:
        state = Path("/proc/none/state")
    with begun(state, file) as server:
        assert version(server) == 100
        server.replace(2)
        assert version(server) == 2
        assert server.stderr().count("--state") == 1, server.stderr()
        assert "; no history is kept" in server.stderr()
        assert kept(server) == [2, 1]
        server.end_well()


def test_under_openwhisk_no_history_is_kept(state: Path) -> None:
    with begun(state, "--openwhisk") as server:
        server.replace(1)
        server.end_well()
    assert not state.exists()


def test_a_version_that_crashes_in_a_loop_is_rolled_back_to_one_of_an_earlier_server(
    state: Path,
) -> None:
    with begun(state) as server:
        server.replace(1)
        server.end_well()
    with begun(state) as server:
        server.replace(2)
        for _ in range(3):
            assert version(server) == 2
            (pid,) = control.pids(server, "serving")
            os.kill(pid, signal.SIGKILL)
            assert wait_gone(pid, 10.0)
        control.wait_until(server, lambda found: found["rollbacks"] == 1, "a roll-back")
        assert version(server) == 1
