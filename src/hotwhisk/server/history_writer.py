"""
Have a process of its own write the history into the state folder, so that the server never waits.

The process is forked when the history has changed. So it has the history and the contents as they
are now, and gets no message. While it writes, further changes wait, and the next process writes
them all at once. Its report is one line in a pipe; without a report, nothing was written.
"""

from __future__ import annotations

import json
import os

from hotwhisk.server.state_folder import StateFolder, content_path, write_state
from hotwhisk.supervisor.artifacts import StoredArtifact
from hotwhisk.supervisor.history import History
from hotwhisk.supervisor.log_events import LogEvent
from hotwhisk.system.descriptors import close_others

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from hotwhisk.supervisor.parts import Parts

NAME = "hotwhisk:state"
"""The name of the process in ``ps``."""

RETRY_AFTER = 5.0
"""Seconds after a failure before another process tries to write the same history."""

FINISH_WAIT = 2.0
"""Seconds that a stop waits for the history to be written."""

REPORT_SIZE = 65536


class HistoryWriter:
    """Writes the history of one server into its state folder."""

    def __init__(self, parts: Parts, folder: StateFolder) -> None:
        self._parts = parts
        self._folder = folder
        self._history: History = parts.rollout.history
        self._written = self._history.revision
        """The revision of the history that the folder has."""
        self._writing = 0
        """The revision that was written last, or is being written."""
        self._process = (0, -1, -1)
        """The process that writes: its id, its pidfd and its pipe; -1 if there is none."""
        self._not_before = 0.0
        self.problem = ""
        """Why the latest change was not written; empty if it was."""

    def follow(self) -> None:
        """Start a process that writes the history, if it has changed and none is writing."""
        revision = self._history.revision
        if revision == self._written or self._process[1] >= 0:
            return
        if revision != self._writing or self._parts.system.now() >= self._not_before:
            self._start()

    @property
    def pause(self) -> float | None:
        """Return the seconds until another process is to try again; None if none is to."""
        if self._history.revision == self._written or self._process[1] >= 0:
            return None
        return max(0.0, self._not_before - self._parts.system.now())

    def finish(self) -> None:
        """Wait until the history is written, for a limited time."""
        until = self._parts.system.now() + FINISH_WAIT
        self._not_before = 0.0
        self.follow()
        while self._process[1] >= 0:
            left = max(0.0, until - self._parts.system.now())
            if not self._parts.system.wait_end(self._process[1], left):
                self._parts.system.kill(self._process[1])
                self._tell(f"it was not written within {FINISH_WAIT:g} s")
                return
            self._ended()
            if not self.problem:
                self.follow()

    def _start(self) -> None:
        self._history.forget_files()
        pipe, self._writing = -1, self._history.revision
        try:
            pipe, report = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                pid, pidfd = self._parts.system.fork(lambda: self._write(report), NAME)
            finally:
                os.close(report)
            self._parts.loop.watch(pidfd, self._ended)
        except OSError as error:
            if pipe >= 0:
                os.close(pipe)
            self._failed(f"no process can be started: {error.strerror}")
            return
        self._parts.processes.helpers.add(pid)
        self._process = (pid, pidfd, pipe)

    def _write(self, report: int) -> NoReturn:
        """Write the history, as it was at the fork; runs in the process of its own."""
        contents = self._history.contents()
        held = [each.artifact.held() for each in contents if each.artifact is not None]
        close_others({report, self._folder.lock, *(each[0] for each in held if each)})
        answer: dict[str, object]
        try:
            written = write_state(self._folder.path, contents, self._history.versions)
            answer = {"written": written}
        except OSError as error:
            answer = {"problem": error.strerror or str(error)}
        os.write(report, json.dumps(answer).encode())
        os._exit(0)

    def _ended(self) -> None:
        """Read the report of the process that wrote, and forget the process."""
        pid, pidfd, pipe = self._process
        system = self._parts.system
        how = system.ended(pidfd)
        if how is None:
            return
        try:
            report = os.read(pipe, REPORT_SIZE)
        except OSError:
            report = b""
        self._parts.loop.unwatch(pidfd)
        system.reap(pidfd)
        self._parts.processes.helpers.discard(pid)
        os.close(pidfd)
        os.close(pipe)
        self._process = (0, -1, -1)
        answer = json.loads(report or b"{}")
        if "written" not in answer:
            self._failed(answer.get("problem", f"its writer ended with {how}"))
            return
        for number, size in answer["written"]:
            self._stored(number, size)
        self._written, self.problem = self._writing, ""

    def _stored(self, number: int, size: int) -> None:
        for version in self._history.versions:
            if version.content.number == number:
                file = StoredArtifact(
                    content_path(self._folder.path, number), version.content.origin
                )
                self._history.stored(number, size, file)
                return

    def _failed(self, problem: str) -> None:
        self._not_before = self._parts.system.now() + RETRY_AFTER
        self._tell(problem)

    def _tell(self, problem: str) -> None:
        if problem != self.problem:
            text = f"--state {self._folder.path}: the history is not kept: {problem}"
            self._parts.log(text, LogEvent.HISTORY_LOST)
        self.problem = problem
