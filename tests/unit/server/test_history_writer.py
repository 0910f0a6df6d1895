"""The process that writes the history: its descriptor, its end, and another try after a failure."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hotwhisk.server.history_writer import RETRY_AFTER, HistoryWriter
from hotwhisk.server.state_folder import open_state, read_versions
from hotwhisk.supervisor.history import History
from hotwhisk.supervisor.parts import Parts
from hotwhisk.supervisor.processes import Processes
from hotwhisk.system.children import children
from hotwhisk.system.system import System
from tests.support.limits import raise_files
from tests.unit.supervisor.scripted import Scripted

DIGEST = "sha256:" + "ab" * 32


class Writing:
    """A writer with real processes; the other parts of its server are scripted."""

    def __init__(self, scripted: Scripted, folder: Path) -> None:
        self.folder = folder
        parts, system = scripted.supervisor.parts, System()
        processes = Processes(system, parts.config, parts.scoreboard)
        self.parts = Parts.of({**vars(parts), "system": system, "processes": processes})
        self.history: History = parts.rollout.history
        self.writer = HistoryWriter(self.parts, open_state(str(folder)))
        self.logged = scripted.logged

    def add(self) -> None:
        """Let one more version be current."""
        number = self.history.next_number()
        self.history.add(Scripted.candidate(), number, DIGEST)

    def wait_report(self) -> None:
        """Wait until the process that writes has ended, and its report is read."""
        ready = self.parts.loop.poll(10.0)
        assert ready, "the process did not end within 10 s"
        for each in ready:
            self.parts.loop.dispatch(*each)

    def pause(self) -> float | None:
        """Return how long the server may sleep, if it is idle."""
        return self.writer.pause

    def numbers(self) -> list[int]:
        """Return the versions that the folder has."""
        return [each.number for each in read_versions(str(self.folder))]


@pytest.fixture
def writing(script: Callable[..., Scripted], tmp_path: Path) -> Writing:
    return Writing(script(), tmp_path / "state")


@contextmanager
def many_descriptors() -> Iterator[None]:
    """Let each new descriptor of this process be above 1023."""
    raise_files(2048)
    taken = [os.open(os.devnull, os.O_RDONLY)]
    while taken[-1] < 1024:
        taken.append(os.dup(taken[0]))
    try:
        yield
    finally:
        for each in taken:
            os.close(each)


def test_a_stop_waits_for_a_process_whose_descriptor_is_above_1023(writing: Writing) -> None:
    writing.add()
    with many_descriptors():
        writing.writer.finish()
    assert (writing.writer.problem, writing.numbers()) == ("", [1])


def test_the_end_of_the_writer_is_known_if_orphans_are_reaped_first(writing: Writing) -> None:
    before = set(children())
    writing.add()
    writing.writer.follow()
    (pid,) = set(children()) - before
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    writing.parts.processes.reap_orphans()
    writing.wait_report()
    assert writing.writer.problem == "its writer ended with signal 9 (SIGKILL)"
    assert pid not in children()


def test_an_idle_server_wakes_up_to_write_what_could_not_be_written(writing: Writing) -> None:
    assert writing.pause() is None
    aside = writing.folder.rename(writing.folder.with_name("aside"))
    writing.add()
    writing.writer.follow()
    assert writing.pause() is None, "the end of the process is an event"
    writing.wait_report()
    assert writing.logged[-1].endswith("the history is not kept: No such file or directory")
    pause = writing.pause()
    assert pause is not None
    assert RETRY_AFTER - 1 < pause <= RETRY_AFTER
    writing.writer.follow()
    assert writing.pause(), "it is not time yet"
    aside.rename(writing.folder)
    writing.writer.finish()
    assert writing.numbers() == [1]
