"""
``serve --watch``: a small process that tells the supervisor when the user's files change.

A process of its own, forked before the supervisor has imported anything of weight: the
supervisor neither waits for files nor wakes up for them, and hears of a change as it would from
a shell, by SIGHUP. This process dies with the supervisor (PDEATHSIG).

inotify says that something happened, never what: the truth is a look at the files, compared
with the last. So it does not matter how an editor saves (in place, or a new file renamed over
the old one), and events that are lost or doubled do no harm. Where inotify cannot be had, the
look is taken five times a second.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn

    State = dict[str, tuple[int, int, int]]

LOOK_EVERY = 0.2
"""Seconds, without inotify."""

SETTLED = 0.05
"""Seconds without an event after which a save is taken to be complete."""

MOST_FOLDERS = 1000
SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "virtualenv"})

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
IN_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
IN_CHANGED = 0x2 | 0x4 | 0x8 | 0x40 | 0x80 | 0x100 | 0x200
"""IN_MODIFY, ATTRIB, CLOSE_WRITE, MOVED_FROM, MOVED_TO, CREATE, DELETE."""


def start_watcher(file: str | None) -> None:
    """
    Watch a file, and each Python source in or below its folder; without a file, those of the
    working directory.
    """
    supervisor = os.getpid()
    if os.fork() == 0:
        _become_watcher(os.path.abspath(file or "."), supervisor)


def look(path: str) -> State:
    """What can be told of the watched files without reading them; empty while ``path`` is away."""
    state: State = {}
    for each in (path, *_sources(path)):
        try:
            found = os.stat(each)
        except OSError:
            if each == path:
                return {}  # between two halves of a save
            continue
        is_folder = os.path.isdir(each)
        state[each] = (found.st_ino, 0, 0) if is_folder else (
            found.st_ino, found.st_mtime_ns, found.st_size,
        )  # fmt: skip
    return state


def folders(path: str) -> Iterator[str]:
    """The folders that may hold a watched file."""
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    if not os.path.isdir(path) and not path.endswith(".py"):
        yield folder  # of an archive: nothing is imported from beside it
        return
    for count, (top, below, _) in enumerate(os.walk(folder), 1):
        yield top
        if count == MOST_FOLDERS:
            return
        below[:] = [name for name in below if name not in SKIPPED and not name.startswith(".")]


def _sources(path: str) -> Iterator[str]:
    if not os.path.isdir(path) and not path.endswith(".py"):
        return
    for folder in folders(path):
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        yield from (f"{folder}/{name}" for name in sorted(names) if name.endswith(".py"))


def _become_watcher(path: str, supervisor: int) -> NoReturn:
    try:
        os.closerange(3, 65536)  # the port, above all
        for number in (signal.SIGINT, signal.SIGHUP):  # of a terminal: they are the supervisor's
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        libc = _die_with(supervisor)
        _watch(path, supervisor, libc)
    except BaseException as error:  # noqa: BLE001 - the top of a process
        sys.stderr.write(f"hotwhisk: --watch ended: {type(error).__name__}: {error}\n")
        sys.stderr.flush()
    os._exit(1)


def _die_with(supervisor: int) -> object:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    libc.prctl(PR_SET_NAME, b"hotwhisk:watch", 0, 0, 0)
    if os.getppid() != supervisor:
        os._exit(0)
    return libc


def _watch(path: str, supervisor: int, libc: object) -> None:
    events = Events(libc)
    events.follow(path)
    known = look(path)
    while True:
        events.wait()
        events.follow(path)  # folders that are new
        now = look(path)
        if now and now != known:
            known = now
            os.kill(supervisor, signal.SIGHUP)


class Events:
    """Waits until something happens in some folders."""

    def __init__(self, libc: object) -> None:
        self._libc = libc
        self._end: int = libc.inotify_init1(IN_NONBLOCK_CLOEXEC)  # type: ignore[attr-defined]

    def follow(self, path: str) -> None:
        """Wait for these folders from now on; one that is followed already stays so."""
        if self._end < 0:
            return
        for folder in folders(path):
            name = os.fsencode(folder)
            if self._libc.inotify_add_watch(self._end, name, IN_CHANGED) < 0:  # type: ignore[attr-defined]
                os.close(self._end)  # out of watches: look for yourself
                self._end = -1
                return

    def wait(self) -> None:
        """Until something happened, and for a moment nothing more."""
        import select

        if self._end < 0:
            select.select([], [], [], LOOK_EVERY)
            return
        patience = None
        while select.select([self._end], [], [], patience)[0]:
            os.read(self._end, 65536)
            patience = SETTLED
