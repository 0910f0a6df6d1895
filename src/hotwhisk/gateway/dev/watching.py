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
import os
import stat
import threading
from collections.abc import Callable, Iterable
from typing import Final

from hotwhisk.gateway.dev.deploy_queue import DeployQueue
from hotwhisk.gateway.dev.libraries import declared_in
from hotwhisk.gateway.dev.opened import OpenedFiles
from hotwhisk.gateway.dev.project import Project, Source
from hotwhisk.gateway.log import log_event
from hotwhisk.watch import source_files
from hotwhisk.watch.events import open_events

Files = dict[str, bytes]
"""The content of each file by its absolute path, as a digest; empty if there is no file."""

MOST_READ: Final = 4 << 20
"""Most bytes of a file that are read; of a larger one, size and date count."""


GONE_SECONDS: Final = 1.0
"""How long a file may be away before that is said."""


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
        self._gone = False
        self.names = _names(project.sources())
        """The names of the actions that there were at the last look."""

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
            self._events.wait()
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
        self.names = _names(present)
        for source in present:
            changed = self._changed(source)
            if changed is not None:
                self._queue.put(source, map(self._project.shown, changed))
        if self._project.is_single:
            self._tell_if_gone(present[0])
        else:
            self._name_doubles(present)
            for source in self._known.keys() - set(present):
                with self._lock:  # another thread may go through them in note_opened
                    del self._known[source]
                if source.shown not in self.names:  # else its files lie elsewhere now
                    self._queue.remove(source)

    def _tell_if_gone(self, source: Source) -> None:
        """Say that a file is gone, unless that is for a moment of a save only."""
        there = os.path.exists(source.entry)
        if there or self._gone:
            self._gone = not there
            return
        self._gone = True
        timer = threading.Timer(GONE_SECONDS, self._say_gone, (source,))
        timer.daemon = True
        timer.start()

    def _say_gone(self, source: Source) -> None:
        if not os.path.exists(source.entry):
            self._say(
                f"{source.entry} is gone, and the last version of {source.shown} serves: bring the "
                "file back, or start hotwhisk dev with another path"
            )

    def _name_doubles(self, present: list[Source]) -> None:
        """Say once of each action that is not served that another one has its name."""
        served = {each.shown: each for each in present}
        for source in self._project.all_sources():
            path = served[source.shown].path if source.shown in served else source.path
            if path != source.path and source.path not in self._said:
                self._said.add(source.path)
                hidden, shown = map(self._project.shown, (source.path, path))
                self._say(f"{hidden} is not served: {shown} is {source.shown} too; rename one")

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
        if not found:
            return {}
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
