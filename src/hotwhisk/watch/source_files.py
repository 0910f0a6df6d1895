"""
Say which sources belong to a path, where they may lie, and what has changed in them.

inotify says that something happened, but not what. So the sources are read, and their content is
compared with what was read before. Therefore it does not matter how an editor saves: in place, or
by a new file that is renamed over the old one. A save of the same bytes is not a change. Lost or
doubled events do no harm. The folders to watch are those that may hold sources, and each folder on
the way there, also through links. So it is noticed when one of them is removed and made again, is
moved, or leads elsewhere.
"""

from __future__ import annotations

import os
from typing import Final

from hotwhisk.artifact import snapshot
from hotwhisk.watch.events import SOURCES

State = dict[str, bytes]
"""The sources by name, and their location under the empty name."""

MOST_FOLDERS: Final = 1000
MOST_LINKS: Final = 40
NAMED: Final = 3
"""Most files that a line names. For more, it gives their number."""

ARCHIVES: Final = (b"PK", b"\x1f\x8b", b"\x7fELF")


def read_state(path: str) -> State:
    """Read the sources that would be served now; return an empty state if ``path`` is missing."""
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
