"""
Wait until the files of an action change, and deploy it again.

Events say that something has happened, but not what. So the files that belong to each action are
read and compared with the last look; see `hotwhisk.watch`. These are its source with the modules
that it names, the files that declare its libraries, the file of variables, and every file that it
has opened or imported.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import math
import os
import stat
import threading
import time
from collections.abc import Callable, Collection, Iterable
from typing import Final

from hotwhisk.gateway.dev.deploy_queue import DeployQueue
from hotwhisk.gateway.dev.libraries import declared_in
from hotwhisk.gateway.dev.opened import OpenedFiles
from hotwhisk.gateway.dev.project import Project, Source, name_problem
from hotwhisk.gateway.log import log_event
from hotwhisk.watch import source_files
from hotwhisk.watch.events import open_events

Files = dict[str, bytes]
"""The content of each file by its absolute path, as a digest; empty if there is no file."""

MOST_READ: Final = 4 << 20
"""Most bytes of a file that are read; of a larger one, size and date count."""

GONE_SECONDS: Final = 1.0
"""How long a file may be away, as in the middle of a save, before its action is taken as gone."""


class Watching:
    """
    Watches the actions of a project, and puts into ``queue`` what is to be done for them.

    ``also`` are files that belong to all actions. ``say`` is called with what the user should know.
    """

    def __init__(
        self, project: Project, opened: OpenedFiles, also: Iterable[str], queue: DeployQueue,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._project = project
        self._opened = opened
        self._also = list(also)
        self._queue = queue
        self._say = say
        self._said: set[str] = set()
        self._events = open_events(ctypes.CDLL(None, use_errno=True))
        self._lock = threading.RLock()
        self._known: dict[Source, Files] = {}
        self._saved: dict[Source, int] = {}
        self._gone: dict[Source, float] = {}
        """Since when the entries of actions are away; infinite once that was dealt with."""
        self.names = _names(project.sources())
        """The names of the actions that there are, also of those whose files may come back."""

    def start(self) -> None:
        """Deploy all actions, then watch them; in a thread that ends with the process."""
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def follow(self) -> None:
        """Watch also the files that were opened since. Any thread may call this."""
        with self._lock:  # otherwise an earlier list of folders could replace a later one
            found = source_files.folders(self._project.path)
            for source in self._project.sources():
                for path in self._others(source):
                    found.setdefault(os.path.dirname(path), set()).add(os.path.basename(path))
            self._events.follow(found)

    def _run(self) -> None:
        self._look_safely()
        while True:
            self._events.wait(self._patience())
            self._look_safely()

    def _look_safely(self) -> None:
        try:
            self.follow()  # before the files are read, so a later change is an event
            self.look()
        except Exception as error:  # noqa: BLE001 - boundary: the next save is another try
            what = "a change could not be deployed; the next one is tried again"
            log_event(f"{what}: {type(error).__name__}: {error}", level=logging.ERROR)

    def look(self) -> None:
        """Have deployed what has changed since the last look."""
        present = self._project.sources()
        for source in present:
            changed = self._changed(source)
            if changed is not None:
                self._queue.put(source, map(self._project.shown, changed))
        if not self._project.is_single:
            self._name_unserved(present)
        for source in self._newly_gone(present):
            self._take_as_gone(source, _names(present))
        self.names = _names([*present, *self._known])

    def _newly_gone(self, present: list[Source]) -> list[Source]:
        """Return the actions whose entries have been away for so long that they count as gone."""
        now = time.monotonic()
        there = {each for each in present if os.path.exists(each.entry)}
        away = (self._known.keys() | set(present)) - there
        self._gone = {source: self._gone.get(source, now) for source in away}
        elsewhere = _names(there)
        return [
            source
            for source, since in self._gone.items()
            if now - since >= GONE_SECONDS or source.shown in elsewhere
        ]

    def _take_as_gone(self, source: Source, there: Collection[str]) -> None:
        """
        Remove an action whose files are gone; if it is the only one, say so.

        ``there`` are the names of those whose files are there.
        """
        self._gone[source] = math.inf
        if self._project.is_single:
            self._say(
                f"{source.entry} is gone, and the last version of {source.shown} serves: bring the "
                "file back, or start hotwhisk dev with another path"
            )
            return
        with self._lock:  # another thread may go through them in note_opened
            self._known.pop(source, None)
        if source.shown not in there:  # else its files lie elsewhere now
            self._queue.remove(source)

    def _patience(self) -> float | None:
        """Return for how many seconds a file that is away may still come back, or None."""
        since = min(self._gone.values(), default=math.inf)
        return None if since == math.inf else max(0.0, since + GONE_SECONDS - time.monotonic())

    def _name_unserved(self, present: list[Source]) -> None:
        """Say once of each action that is not served why: for its name, or as another has it."""
        served = {each.shown: each for each in present}
        for source in self._project.all_sources():
            if source in present or source.path in self._said:
                continue
            hidden, other = self._project.shown(source.path), served.get(source.shown)
            problem = name_problem(source)
            if other is not None:
                shown = self._project.shown(other.path)
                problem = f"{shown} is {source.shown} too; rename one"
            if problem:  # else it has come in this moment
                self._said.add(source.path)
                self._say(f"{hidden} is not served: {problem}")

    def note_opened(self) -> None:
        """Remember the present content of the files that were opened. Any thread may call this."""
        with self._lock:
            if not self._opened.take():
                return
            self.follow()  # before the files are read, so a later change is an event
            for source, files in self._known.items():
                for path in self._opened.of(source.shown):
                    files.setdefault(path, _digest(path))

    def _changed(self, source: Source) -> list[str] | None:
        """Return what has changed in an action since the last look; None if it is unchanged."""
        with self._lock:
            now, known = self._files(source), self._known.get(source)
            if not now:  # a file is missing in the middle of a save
                return None
            self._known[source] = now
            former, self._saved[source] = self._saved.get(source), _saved_at(source)
        if known is None:  # if its files lay elsewhere, the servers have those
            others = self._known.keys() - {source}
            return [source.entry] if source.shown in _names(others) else []
        changed = _changed(known, now)
        if not changed and source.shown in self._queue.failed and former != _saved_at(source):
            return [source.entry]  # it may load now, for a reason that lies elsewhere
        return changed or None

    def _files(self, source: Source) -> Files:
        found = source_files.read_state(source.entry)
        found.pop("", None)
        if (
            not found
        ):  # it is missing in the middle of a save; otherwise its load says what is wrong
            unreadable = os.path.exists(source.entry) and not os.access(source.entry, os.R_OK)
            return {source.entry: b"unreadable"} if unreadable else {}
        root = os.path.dirname(source.entry)
        files = {f"{root}/{name}": _hash(content) for name, content in found.items()}
        return files | {path: _digest(path) for path in self._others(source) if path not in files}

    def _others(self, source: Source) -> list[str]:
        """Return the files of an action that are no sources, whether they exist or not."""
        return [*declared_in(source.path), *self._also, *self._opened.of(source.shown)]


def _saved_at(source: Source) -> int:
    """Return when the entry of an action was saved, in nanoseconds."""
    try:
        return os.stat(source.entry).st_mtime_ns
    except OSError:
        return 0


def _names(present: Iterable[Source]) -> frozenset[str]:
    return frozenset(each.shown for each in present)


def _changed(known: Files, now: Files) -> list[str]:
    """
    Return the paths that differ.

    A file that the action no longer names has not changed, unless it is gone. Nor has one that it
    names only since another file changed.
    """
    differ = [path for path, content in known.items() if now.get(path, _digest(path)) != content]
    return sorted(differ or now.keys() - known.keys())


def _digest(path: str) -> bytes:
    """Return a digest of a file, or nothing if there is none. A pipe or device is not read."""
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            return b"other"
        if found.st_size > MOST_READ:
            return f"{found.st_size} {found.st_mtime_ns}".encode()
        with open(path, "rb") as file:
            return _hash(file.read())
    except OSError:
        return b""


def _hash(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
