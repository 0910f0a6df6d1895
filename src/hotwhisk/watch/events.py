"""Wait until something happens in some folders: by inotify, by watchfiles, or by the clock."""

from __future__ import annotations

import os
import select
import struct
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    Folders = Mapping[str, set[str]]
    """By path, the names that matter in it, and `SOURCES` if every source does."""

IN_NONBLOCK_CLOEXEC: Final = os.O_NONBLOCK | os.O_CLOEXEC
IN_MODIFY, IN_CLOSE_WRITE = 0x2, 0x8
IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE = 0x40, 0x80, 0x100, 0x200
IN_ATTRIB, IN_DELETE_SELF, IN_MOVE_SELF = 0x4, 0x400, 0x800
IN_Q_OVERFLOW, IN_IGNORED = 0x4000, 0x8000
WRITTEN: Final = IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB
MOVED: Final = IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE
COMPLETE: Final = IN_CLOSE_WRITE | IN_MOVED_TO
ITSELF: Final = IN_DELETE_SELF | IN_MOVE_SELF
HEAD: Final = struct.Struct("iIII")

SOURCES: Final = "*"
"""Stands for every source in a folder, among the names that matter in it."""

ENDS: Final = (".py", "requirements.txt", "exec")
"""How the names of sources end."""

LOOK_EVERY: Final = 0.2
"""Seconds between two looks if no events are reported."""

SETTLED: Final = 0.05
"""Seconds without an event after which a save is taken to be complete."""

SETTLED_WHEN_CLOSED: Final = 0.01
"""The same, after a file was closed by its writer or renamed into its place."""

LOOK_AT_LEAST: Final = 1000
"""Milliseconds after which watchfiles returns. It may have missed events when it began."""


class Events:
    """Waits until something may have happened: this class by the clock, the others by events."""

    def follow(self, folders: Folders) -> None:
        """Wait for these folders from now on."""

    def wait(self, most: float | None = None) -> None:
        """
        Wait until something happened, and then for a moment without further events.

        Without an event, it also returns after ``most`` seconds, or earlier.
        """
        select.select([], [], [], LOOK_EVERY if most is None else min(most, LOOK_EVERY))


class Inotify(Events):
    """
    Waits by inotify, or by the clock if inotify has no more watches to give.

    One thread waits; any thread may call `follow` meanwhile.
    """

    def __init__(self, libc: Any) -> None:
        self._libc = libc
        self._end: int = libc.inotify_init1(IN_NONBLOCK_CLOEXEC)
        # It can be read from once inotify cannot be used. Then the thread that waits wakes up, and
        # no descriptor is closed under it.
        self._unusable = os.eventfd(int(self._end < 0), os.EFD_CLOEXEC)
        self._names: dict[int, set[str]] = {}
        self._removed: set[int] = set()
        """Watches of which events may still come. The kernel does not use their numbers again."""

    def follow(self, folders: Folders) -> None:
        """See `Events`."""
        names: dict[int, set[str]] = {}
        for folder, those in folders.items():
            mask = WRITTEN | MOVED | ITSELF
            watch = self._libc.inotify_add_watch(self._end, os.fsencode(folder), mask)
            if watch >= 0:
                names[watch] = names.get(watch, set()) | those
            elif os.path.isdir(folder) and os.access(folder, os.R_OK):
                os.eventfd_write(self._unusable, 1)  # inotify is out of watches
                return
        former = self._names.keys() - names.keys()
        self._removed |= former
        self._names = names
        for watch in former:
            if self._libc.inotify_rm_watch(self._end, watch) < 0:  # its folder was removed
                self._removed.discard(watch)

    def wait(self, most: float | None = None) -> None:
        """See `Events`."""
        settled = None if most is None else time.monotonic() + most
        ends = [end for end in (self._end, self._unusable) if end >= 0]
        while True:
            patience = None if settled is None else max(0.0, settled - time.monotonic())
            ready = select.select(ends, [], [], patience)[0]
            if not ready:
                return
            if self._unusable in ready:
                super().wait()
                return
            matters, closed = self._judge(os.read(self._end, 65536))
            if matters:  # other files, such as a log, must not hold it up
                settled = time.monotonic() + (SETTLED_WHEN_CLOSED if closed else SETTLED)

    def _judge(self, events: bytes) -> tuple[bool, bool]:
        """Return whether an event matters, and whether the last of those completes a file."""
        at, matters, closed = 0, False, False
        while at < len(events):
            watch, mask, _, length = HEAD.unpack_from(events, at)
            at += HEAD.size + length
            if mask & IN_IGNORED:  # the last event of a watch
                self._removed.discard(watch)
                continue
            if watch in self._removed:
                continue
            name = os.fsdecode(events[at - length : at].rstrip(b"\0"))
            names = self._names.get(watch)
            # Without names it is a folder that `follow` is adding just now. A name that was moved
            # may be that of a folder, or of a link to one.
            if (
                mask & (ITSELF | IN_Q_OVERFLOW)
                or names is None
                or name in names
                or (SOURCES in names and (mask & MOVED or name.endswith(ENDS)))
            ):
                matters, closed = True, bool(mask & COMPLETE)
        return matters, closed


class Watchfiles(Events):
    """Waits by watchfiles (https://pypi.org/project/watchfiles/), which also polls if needed."""

    def __init__(self, watch: Any) -> None:
        self._watch = watch
        self._folders: list[str] = []

    def follow(self, folders: Folders) -> None:
        """See `Events`."""
        self._folders = [folder for folder in folders if os.path.isdir(folder)]

    def wait(self, most: float | None = None) -> None:  # noqa: ARG002 - see LOOK_AT_LEAST
        """See `Events`."""
        options = {"recursive": False, "yield_on_timeout": True, "rust_timeout": LOOK_AT_LEAST}
        step = int(1000 * SETTLED)
        for _ in self._watch(*self._folders, watch_filter=None, step=step, **options):
            return


def open_events(libc: Any) -> Events:
    """Return the best source of events that this machine has."""
    try:
        from watchfiles import watch  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return Inotify(libc)
    return Watchfiles(watch)
