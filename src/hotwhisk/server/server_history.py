"""What a server keeps over a restart: reads the state folder at the start, and follows changes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hotwhisk.config.addresses import CONTROL_VERSION
from hotwhisk.server.control import ControlRequest
from hotwhisk.server.named_file import has_digest
from hotwhisk.supervisor.artifacts import named_by
from hotwhisk.supervisor.commands import Candidate, Origin
from hotwhisk.supervisor.history import Version
from hotwhisk.supervisor.log_events import LogEvent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.server.history_writer import HistoryWriter
    from hotwhisk.supervisor.parts import Parts

LONGEST_NAME = 200
"""Most characters of the path of a FILE in the list of versions."""


class ServerHistory:
    """The history of one server, with its state folder if it has one."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._history = parts.rollout.history
        self._writer: HistoryWriter | None = None
        self._folder: str | None = None
        self._problem = ""

    def first_candidate(self) -> Candidate | None:
        """Open the state folder; return what the server is to load first, None for nothing."""
        named = named_by(self._parts.config)
        if self._parts.config.state is None:
            return named
        from hotwhisk.supervisor.first_version import choose  # only for --state

        self._open(self._parts.config.state)
        origin = named.artifact.origin if named is not None else Origin()
        is_unchanged = partial(has_digest, self._parts.system, origin)
        first = choose(self._history.versions, named, is_unchanged)
        if named is not None and self._parts.config.strict:
            named.fallback = None  # a FILE that does not load ends the server
        if first.why:
            self._parts.log(f"--state {self._folder}: {first.why}", LogEvent.FIRST_VERSION)
        return first.candidate

    def _open(self, path: str) -> None:
        """Read the history of an earlier server, and log what is wrong with its folder."""
        from hotwhisk.server.history_writer import HistoryWriter
        from hotwhisk.server.state_folder import open_state

        folder = open_state(path)
        self._folder, self._problem = folder.path, folder.problem
        self._history.restore(folder.versions)
        if folder.lock >= 0:
            self._writer = HistoryWriter(self._parts, folder)
        if self._problem:
            then = "the history begins anew" if self._writer else "no history is kept"
            self._parts.log(
                f"--state {self._folder}: {self._problem}; {then}", LogEvent.HISTORY_LOST
            )

    def describe(self, candidate: Candidate, number: int) -> str:
        """Return what the banner says of a version that became current."""
        if candidate.restores:
            return f"generation {number} is current again"
        return f"{self._parts.config.file or self._parts.config.module} is generation {number}"

    def follow(self) -> None:
        """Have the history written, if it has changed."""
        if self._writer is not None:
            self._writer.follow()

    @property
    def pause(self) -> float | None:
        """Return how long an idle server may sleep; None if nothing waits to be written."""
        return self._writer.pause if self._writer is not None else None

    def finish(self) -> None:
        """Wait until the history is written, for a limited time."""
        if self._writer is not None:
            self._writer.finish()

    def answers(self) -> dict[str, Callable[[ControlRequest], None]]:
        """Return the functions that answer questions about versions."""
        answers: dict[str, Callable[[ControlRequest], None]] = {
            "history": self._list_versions,
            "rollback": lambda question: self._roll_back(question, 0),
            "rollback_to": lambda question: self._roll_back(question, question.generation or -1),
        }
        if self._parts.config.mcp:
            from hotwhisk.server.current import answer_current  # here, because few servers need it

            answers["current"] = lambda question: answer_current(question, self._parts)
        return answers

    def _roll_back(self, question: ControlRequest, to: int) -> None:
        if not self._parts.rollout.roll_back(question, to):
            error = self._history.why_no_rollback(to)
            question.answer({"version": CONTROL_VERSION, "error": error})

    def _list_versions(self, question: ControlRequest) -> None:
        rollout = self._parts.rollout
        question.answer(
            {
                "version": CONTROL_VERSION,
                "generation": rollout.current.number,
                "folder": self._folder,
                "problem": self._writer.problem if self._writer else self._problem,
                "versions": [_row(each) for each in reversed(self._history.versions)],
            }
        )


def _row(version: Version) -> dict[str, object]:
    content = version.content
    return {
        "number": version.number,
        "digest": version.digest,
        "at": round(version.at, 3),
        "how": version.how,
        "rollback_of": version.rollback_of or None,
        "name": content.origin.path[-LONGEST_NAME:] if version.how == "file" else None,
        "kept": content.is_kept,
        "bytes": content.size,
    }
