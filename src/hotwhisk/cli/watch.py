"""
Run ``serve --watch``: a small process tells the supervisor when the sources of a version change.

The process is forked before the supervisor has imported large modules. So the supervisor neither
looks at files nor wakes up for them. For each change, the supervisor gets a line through a pipe.
The line says what has changed. The process ends with the supervisor (PDEATHSIG).

`hotwhisk.watch` waits until something happens, and says what has changed. If inotify is not
available, the process looks five times a second. If watchfiles is installed, it waits in place of
inotify. It also supports file systems that report no events.
"""

from __future__ import annotations

import os
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15

GONE_SECONDS = 1.0
"""How long a file may be away, as in the middle of a save, before that is said."""

_BEGUN = b"\n"


def start_watcher(file: str | None) -> int:
    """
    Watch a file and what it may import from beside it, or the sources in a folder.

    Without a file, the sources in the working directory are watched. Return the descriptor from
    which a line can be read for each change, once `wait_begun` has returned.
    """
    ours, theirs = os.pipe()
    supervisor = os.getpid()
    if os.fork() == 0:
        _become_watcher(os.path.abspath(file or "."), supervisor, theirs)
    os.close(theirs)
    return ours


def wait_begun(changes: int) -> None:
    """
    Wait until the sources have been read for the first time.

    If the server loaded them before that, a change in between would never be reported.
    """
    os.set_blocking(changes, True)
    os.read(changes, len(_BEGUN))  # nothing, if the process has ended: the server reads that too
    os.set_blocking(changes, False)


def _become_watcher(path: str, supervisor: int, end: int) -> NoReturn:
    try:
        os.dup2(end, 3)
        os.closerange(4, 65536)  # closes the port, above all
        # From a terminal: only the supervisor handles them.
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        libc = die_with(supervisor, b"hotwhisk:watch", signal.SIGKILL)
        _watch(path, 3, libc)
    except BrokenPipeError:
        os._exit(0)
    except BaseException as error:  # noqa: BLE001 - the top of a process
        say(f"--watch ended: {type(error).__name__}: {error}")
    os._exit(1)


def die_with(supervisor: int, name: bytes, number: int) -> object:
    """Name this process, and have it get a signal when its parent ends; return the C library."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    libc.prctl(PR_SET_NAME, name, 0, 0, 0)
    if os.getppid() != supervisor:
        os._exit(0)
    return libc


def _watch(path: str, end: int, libc: object) -> None:
    from hotwhisk.watch.events import open_events
    from hotwhisk.watch.source_files import changes, folders, read_state

    name = os.path.basename(path)
    name = name if name.isprintable() else ascii(name)
    events = open_events(libc)
    events.follow(folders(path))
    known = read_state(path)
    os.write(end, _BEGUN)
    gone = _Absence(name)
    while True:
        events.wait(gone.left())
        events.follow(folders(path))  # before the sources are read, so a later change is an event
        now = read_state(path)
        line = changes(known, now, path) if now else ""
        if gone.note(there=bool(now)) and not line:
            line = f"{name} is back"
        if line:
            known = now
            os.write(end, f"{line}\n".encode(errors="replace")[-4096:])


class _Absence:
    """Says once that a file or folder is gone, unless that is for a moment of a save only."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._since: float | None = None
        self._said = False

    def left(self) -> float | None:
        """Return the seconds until it is to be said, or None."""
        if self._since is None or self._said:
            return None
        return max(0.0, self._since + GONE_SECONDS - time.monotonic())

    def note(self, *, there: bool) -> bool:
        """Note whether it is there now; return whether it is back after it was said to be gone."""
        if there:
            self._since, said, self._said = None, self._said, False
            return said
        self._since = self._since or time.monotonic()
        if not self._said and self.left() == 0:
            self._said = True
            say(f"{self._name} is gone or unreadable, and its last version serves until it is back")
        return False


def say(text: str) -> None:
    """Write a line for the operator."""
    try:
        sys.stderr.write(f"hotwhisk: {text}\n")
        sys.stderr.flush()
    except OSError:  # the terminal was closed
        pass
