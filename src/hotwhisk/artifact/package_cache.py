"""
The libraries of artifacts, unpacked once for all versions that came with them.

A hundred megabytes of libraries seldom change when the action does. They are unpacked into
``packages/KEY`` in the server's folder, and each generation that uses them has a link there.
What no generation uses any more is removed, but for the last: a version that is posted again,
or the next one with the same libraries, finds it.

Workers do this, several at a time: one loads a version while another removes the folder of an
old one. So the link is made, and links are looked for, under a lock on a file. The libraries are
unpacked without it, inside the generation's own folder, and renamed into place.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from hotwhisk.system.removal import remove

LINK: Final = "packages"
"""In the folder of a generation: which libraries it uses."""

_KEPT: Final = 1


def take(root: str, key: str, holder: str, fill: Callable[[str], None]) -> str:
    """
    The folder with what ``key`` names, for the generation whose folder is ``holder``; ``fill``
    is called with an empty folder if that is not there yet.

    Raises:
        OSError: it cannot be written; and what ``fill`` raises.
    """
    place = f"{root}/{key}"
    os.makedirs(root, exist_ok=True)
    with _locked(root):
        _link(root, key, holder)
        if os.path.isdir(place):
            os.utime(place)
            return place
    fresh = f"{holder}/.{LINK}.{os.getpid()}"
    os.mkdir(fresh, 0o755)
    try:
        fill(fresh)
        os.chmod(fresh, 0o755)  # noqa: S103 - an action may run as another user
        os.rename(fresh, place)
    except OSError:
        remove(fresh)
        if not os.path.isdir(place):  # else another generation was quicker
            raise
    except BaseException:
        remove(fresh)
        raise
    return place


def make(root: str, key: str, holder: str, fill: Callable[[str], None]) -> str:
    """
    Make a place that holds its own path and therefore cannot be renamed; return the place.

    ``fill`` is called with the place itself, by one process at a time. A process that wants the
    same place waits for it. An unfinished place is filled anew.
    """
    place, note = f"{root}/{key}", _note(root, key)
    os.makedirs(root, exist_ok=True)
    with _locked(root):
        _link(root, key, holder)
        if not os.path.isdir(place):
            os.close(os.open(note, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            os.mkdir(place, 0o755)
        os.utime(place)
        lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(note):
            _empty(place)
            try:
                fill(place)
            except BaseException:
                _empty(place)
                raise
            os.unlink(note)
    finally:
        os.close(lock)
    return place


def sweep(root: str, seconds: float = float("inf")) -> bool:
    """
    Remove what no generation uses, but for the last that was used, as far as that can be done.

    Return False if this took longer than ``seconds``. A further call goes on.
    """
    if not os.path.isdir(root):
        return True
    try:
        with _locked(root, fcntl.LOCK_NB):  # does not wait for an action that holds the lock
            unused = set(_entries(root)) - set(_used(root))
            order = sorted(unused, key=lambda key: os.stat(f"{root}/{key}").st_mtime_ns)
            whole = [key for key in order if not os.path.exists(_note(root, key))]
            for key in unused - set(whole[-_KEPT:]):
                os.rename(f"{root}/{key}", f"{root}/.{key}.{os.getpid()}")
                _forget(_note(root, key))
        outdated = [name for name in os.listdir(root) if name.startswith(".")]
        folders = [name for name in outdated if os.path.isdir(f"{root}/{name}")]
        return all(remove(f"{root}/{name}", seconds) for name in folders)
    except OSError:  # a full disk, or another sweep: the next one finds what is left
        return True


def _link(root: str, key: str, holder: str) -> None:
    """Note which libraries the generation with the folder ``holder`` uses."""
    link = f"{holder}/{LINK}"
    if os.path.islink(link):
        os.unlink(link)
    os.symlink(f"../{os.path.basename(root)}/{key}", link)


def _note(root: str, key: str) -> str:
    """Return the path of the file that exists while a place is unfinished."""
    return f"{root}/.{key}.unfinished"


def _forget(note: str) -> None:
    try:
        os.unlink(note)
    except FileNotFoundError:
        pass


def _empty(place: str) -> None:
    for name in os.listdir(place):
        remove(f"{place}/{name}")


def _entries(root: str) -> list[str]:
    return [name for name in os.listdir(root) if not name.startswith(".")]


def _used(root: str) -> Iterator[str]:
    """Return the keys of libraries to which generations hold a link."""
    above = os.path.dirname(root)
    for name in os.listdir(above):
        try:
            yield os.path.basename(os.readlink(f"{above}/{name}/{LINK}"))
        except OSError:  # no generation, or one without libraries
            pass


@contextmanager
def _locked(root: str, flags: int = 0) -> Iterator[None]:
    """Let one process in at a time. The lock of a process that dies is free."""
    mode = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    lock = os.open(f"{root}/.lock", mode, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | flags)
        yield
    finally:
        os.close(lock)
