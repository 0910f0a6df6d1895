"""The file that Kubernetes shows says why a server ended."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from hotwhisk.server.notify import LONGEST, write_termination_log
from tests.support.server import NotReady, Server

from . import actions

pytestmark = pytest.mark.slow


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "termination-log"
    path.write_text("what an earlier one wrote, and longer than what is said now" * 9)
    return path


def test_told_to_stop(log: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        with Server("--openwhisk", "--termination-log", str(log)) as server:
            server.post(actions.plain(1))
            os.kill(server.pid, number)
            assert server.wait(10.0) == 0
        told = f"hotwhisk: told to stop by {number.name}; generation 1 was current\n"
        assert log.read_text() == told


def test_what_kept_it_from_starting(log: Path) -> None:
    env = {"HOTWHISK_TERMINATION_LOG": str(log)}
    with pytest.raises(NotReady), Server("no-such.py", env=env):
        pass
    assert log.read_text() == "hotwhisk: UsageError: there is no no-such.py\n"
    with pytest.raises(NotReady), Server("--bogus", env=env):
        pass
    assert log.read_text().startswith("hotwhisk: UsageError: unknown option --bogus")
    with pytest.raises(NotReady), Server(env=env, nofile=20):
        pass
    assert "StartError: the limit of 20 open files is too low" in log.read_text()


def test_no_file_is_made_and_no_other_is_written_to(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (tmp_path / "absent", fifo, tmp_path):
        with Server("--termination-log", str(path)) as server:
            server.terminate()
            assert server.wait(10.0) == 0, server.stderr()
    assert sorted(tmp_path.iterdir()) == [fifo]


def test_one_line_of_what_the_kubelet_keeps(log: Path) -> None:
    write_termination_log(str(log), "two\nlines")
    assert log.read_text() == "hotwhisk: two lines\n"
    write_termination_log(str(log), "é" * LONGEST)
    assert LONGEST - 3 < len(log.read_bytes()) <= LONGEST
    assert log.read_bytes().endswith(b"\n")
