"""
Run ``serve --watch``: a small process tells the supervisor when the sources of a version change.

The process is forked before the supervisor has imported large modules. So the supervisor neither
looks at files nor wakes up for them. For each change, the supervisor gets a line through a pipe.
The line says what has changed. The process ends with the supervisor (PDEATHSIG).

inotify says that something happened, but not what. So the process looks at the sources and compares
their content with the last look. Therefore it does not matter how an editor saves: in place, or
by a new file that is renamed over the old one. A save of the same bytes is not a change. Lost or
doubled events do no harm. The process watches the folders that may hold sources, and each folder
on the way there, also through links. So it notices when one of them is removed and made again, is
moved, or leads elsewhere.

If inotify is not available, the process looks five times a second. If watchfiles is installed, it
waits in place of inotify. It also supports file systems that report no events.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    State = dict[str, bytes]
    """The sources by name, and their location under the empty name."""

MOST_FOLDERS = 1000
MOST_LINKS = 40
NAMED = 3
"""Most files that a line names. For more, it gives their number."""

ARCHIVES = (b"PK", b"\x1f\x8b", b"\x7fELF")
PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15


def start_watcher(file: str | None) -> int:
    """
    Watch a file and what it may import from beside it, or the sources in a folder.

    Without a file, the sources in the working directory are watched. Return the descriptor from
    which a line can be read for each change.
    """
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    supervisor = os.getpid()
    if os.fork() == 0:
        _become_watcher(os.path.abspath(file or "."), supervisor, theirs)
    os.close(theirs)
    return ours


def look(path: str) -> State:
    """Read the sources that would be served now; return an empty state if ``path`` is missing."""
    from hotwhisk.artifact import snapshot

    try:
        if os.path.isdir(path):
            root = os.path.realpath(path)
            state = snapshot.sources_below(root)
            with_program = f"{root}/exec"
            if os.path.isfile(with_program):
                state["exec"] = _read(with_program)
        else:
            content = _read(path)
            root, name = os.path.split(os.path.realpath(path))
            alone = content.startswith(ARCHIVES)
            state = {name: content} if alone else snapshot.of_file(path, content).files
        found = os.stat(root)
    except OSError:
        return {}  # a file is missing in the middle of a save
    return {"": f"{root} {found.st_dev} {found.st_ino}".encode(errors="replace"), **state}


def changes(known: State, now: State, path: str) -> str:
    """Return the difference of two states as a line, or an empty text if they are equal."""
    names = sorted(
        name for name in known.keys() | now.keys() if name and known.get(name) != now.get(name)
    )
    if not names and known.get("") == now.get(""):
        return ""
    names = [name if name.isprintable() else ascii(name) for name in names]
    if not names:
        return f"{os.path.basename(path)} is in another folder"
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more} changed"


def folders(path: str) -> dict[str, set[str]]:
    """
    Return the folders to watch, with the names that matter in them.

    These are the folders on the way to the sources, and the folders that may hold sources. In the
    latter, all sources matter.
    """
    from hotwhisk.artifact import snapshot
    from hotwhisk.cli.watch_events import SOURCES

    found: dict[str, set[str]] = {}
    _add_way(path, found)
    root = os.path.realpath(path)
    if not os.path.isdir(root):
        root = os.path.dirname(root)
    for count, folder in enumerate(snapshot.folders_below(root)):
        if count == MOST_FOLDERS:
            break
        _add_links(folder, found)
        found.setdefault(folder, set()).add(SOURCES)
    return found


def _add_links(folder: str, found: dict[str, set[str]]) -> None:
    """Add the folders on the way to the targets of links in a folder."""
    try:
        with os.scandir(folder) as entries:
            links = [entry.path for entry in entries if entry.is_symlink()]
    except OSError:
        return
    for link in links:
        _add_way(link, found)


def _add_way(path: str, found: dict[str, set[str]]) -> None:
    """Add each folder in which a name decides what is at ``path``, through all links on the way."""
    here, names, links = "/", [name for name in path.split("/") if name], 0
    while names:
        name = names.pop(0)
        if name in ("", "."):
            continue
        if name == "..":
            here = os.path.dirname(here)
            continue
        found.setdefault(here, set()).add(name)
        place = os.path.join(here, name)
        try:
            target = os.readlink(place)
        except OSError:  # the place is no link, or does not exist yet
            here = place
            continue
        links += 1
        if links > MOST_LINKS:
            return
        here = "/" if target.startswith("/") else here
        names = target.split("/") + names


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()


def _become_watcher(path: str, supervisor: int, end: int) -> NoReturn:
    try:
        os.dup2(end, 3)
        os.closerange(4, 65536)  # closes the port, above all
        for number in (
            signal.SIGINT,
            signal.SIGHUP,
        ):  # from a terminal: only the supervisor handles them
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        libc = _die_with(supervisor)
        _watch(path, 3, libc)
    except BrokenPipeError:
        os._exit(0)
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


def _watch(path: str, end: int, libc: object) -> None:
    from hotwhisk.cli.watch_events import open_events

    events = open_events(libc)
    events.follow(folders(path))
    known = look(path)
    while True:
        events.wait()
        events.follow(folders(path))  # before the sources are read, so a later change is an event
        now = look(path)
        line = changes(known, now, path) if now else ""
        if line:
            known = now
            os.write(end, f"{line}\n".encode(errors="replace")[-4096:])
