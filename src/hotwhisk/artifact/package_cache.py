"""
Keep the libraries of artifacts, unpacked once for all versions that came with them.

A hundred megabytes of libraries seldom change when the action does. They are unpacked into
``packages/KEY`` in the server's folder, and each generation that uses them has a link there.
Libraries that no generation uses any more are removed, except the last ones: if a version is posted
again, or the next one has the same libraries, they are still there.

Several workers do this at the same time: one loads a version while another removes the folder of an
old one. So links are made and counted under a lock on a file. The libraries are unpacked without
the lock, inside the generation's own folder, and renamed into place.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hotwhisk.system.removal import remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final


LINK: Final = "packages"
"""The link in the folder of a generation that says which libraries it uses."""

_KEPT: Final = 1


def ensure_folder(path: str) -> None:
    """
    Make a folder of the run folder, unless it is there already.

    Those above it are not made: if the run folder was removed, they would come back with rights for
    other users.

    Raises:
        OSError: the folder above is missing, or cannot be written.
    """
    try:
        os.mkdir(path)
    except FileExistsError:
        pass


def fill_and_move(root: str, key: str, holder: str, fill: Callable[[str], None]) -> str:
    """
    Return the folder of the libraries ``key`` for the generation whose folder is ``holder``.

    If there is none yet, ``fill`` is called with an empty folder.

    Raises:
        OSError: the folder cannot be written; also what ``fill`` raises.
    """
    place = f"{root}/{key}"
    ensure_folder(root)
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
        if not os.path.isdir(place):  # else another generation was faster
            raise
    except BaseException:
        remove(fresh)
        raise
    return place


def fill_in_place(root: str, key: str, holder: str, fill: Callable[[str], None]) -> str:
    """
    Fill a folder in its final place, because it holds its own path; return the folder.

    ``fill`` is called with that folder, by one process at a time. A process that wants the same
    folder waits for it. An unfinished folder is filled anew.
    """
    place, note = f"{root}/{key}", _note(root, key)
    ensure_folder(root)
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
    Remove the libraries that no generation uses, except the last ones that were used.

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
    except OSError:  # a full disk, or another process does the same: the next call removes the rest
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
    """Let one process in at a time. If a process ends, the kernel releases its lock."""
    mode = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    lock = os.open(f"{root}/.lock", mode, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | flags)
        yield
    finally:
        os.close(lock)
