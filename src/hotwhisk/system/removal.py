"""
Remove a folder that an action could write to, with all of its content and nothing outside it.

Every call names its entry relative to an open descriptor, and follows no link. A folder inside is
not entered at its place. It is moved to the top of the tree and emptied there. So a deep tree
needs no deeper stack, no more descriptors and no longer paths. Only a few descriptors are open at a
time, and interrupted work is not lost. If an action swaps a folder for a link meanwhile, the link
is removed. A mount point cannot be moved (EBUSY), so it is not entered.

Entries that cannot be removed (an immutable file or a mount point) are left. This is not an error,
because the caller has something more important to do.
"""

from __future__ import annotations

import os
import stat
from errno import EXDEV
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final


_ALWAYS: Final = float("inf")
_PATH_ONLY: Final = getattr(os, "O_PATH", os.O_RDONLY)
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_MOST_NESTED: Final = 64
"""Levels that are entered at their place, on a file system that moves no folders (EXDEV)."""

_MOST_PASSES: Final = 8
"""How often a folder is searched for entries that appeared meanwhile."""


class _TimeIsUp(Exception):
    """Time has run out. The rest is left for another call."""


def remove(path: str, seconds: float = _ALWAYS) -> bool:
    """
    Remove a file, a link or a whole folder as far as that can be done.

    Returns False if the time ran out after ``seconds``; another call continues the removal.
    """
    parent, name = os.path.split(path)
    try:
        above = _open_folder(parent or ".")
    except OSError:
        return True
    try:
        return remove_in(above, name, seconds)
    finally:
        os.close(above)


def remove_in(above: int, name: str, seconds: float = _ALWAYS) -> bool:
    """
    Remove the entry ``name`` of the folder that is open as ``above``.

    Returns False if the time ran out after ``seconds``; another call continues the removal.
    """
    remover = _Remover(monotonic() + seconds)
    try:
        remover.remove(above, name)
    except _TimeIsUp:
        return False
    except OSError:  # the entry is not a folder that can be listed
        pass
    return True


def make_accessible(name: str, above: int | None = None) -> None:
    """
    Give the owner all rights to a folder, if this user owns it; follow no link.

    Raises:
        OSError: it is not a folder, or the rights cannot be changed.
    """
    flags = _PATH_ONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    folder = os.open(name, flags, dir_fd=above)
    try:
        found = os.fstat(folder)
        if found.st_mode & stat.S_IRWXU != stat.S_IRWXU and found.st_uid == os.geteuid():
            # The call goes through /proc, because a descriptor opened with O_PATH cannot change the
            # mode.
            os.chmod(f"/proc/self/fd/{folder}", stat.S_IMODE(found.st_mode) | stat.S_IRWXU)
    finally:
        os.close(folder)


def _open_folder(name: str, above: int | None = None) -> int:
    """Return a descriptor of a folder, with the owner's rights restored if that is this user."""
    try:
        folder = os.open(name, _FOLDER, dir_fd=above)
    except PermissionError:
        make_accessible(name, above)
        return os.open(name, _FOLDER, dir_fd=above)
    found = os.fstat(folder)
    if found.st_mode & stat.S_IRWXU != stat.S_IRWXU and found.st_uid == os.geteuid():
        try:
            os.fchmod(folder, stat.S_IMODE(found.st_mode) | stat.S_IRWXU)
        except OSError:  # the file system has no modes, or is read-only
            pass
    return folder


class _Remover:
    """One removal, which ends at ``deadline``."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._prefix = f".{os.urandom(6).hex()}"
        self._count = 0

    def remove(self, above: int, name: str) -> None:
        """
        Remove one entry of a folder, or as much of it as can be removed.

        Raises:
            OSError: the entry is a folder that cannot be opened.
            _TimeIsUp: time has run out, and something is left that could be removed.
        """
        if _remove_entry(above, name):
            return
        top = _open_folder(name, above)
        try:
            self._empty(top, 0)
        finally:
            os.close(top)
        _remove_entry(above, name)

    def _empty(self, top: int, level: int) -> None:
        """Remove the content of a folder; move each folder in it up into ``top``."""
        hopeless: set[str] = set()
        for _ in range(_MOST_PASSES):
            waiting = self._folders_in(top, hopeless)
            if not waiting:
                return
            while waiting:
                name = self._move(top, waiting.pop(), top, level)
                if name is None:
                    continue  # it was entered at its place, or is a mount point
                waiting += self._flatten(top, name, level)
                if not _remove_if_empty(top, name):
                    hopeless.add(name)

    def _flatten(self, top: int, name: str, level: int) -> list[str]:
        """Empty one folder in ``top``; return the new names of the folders that were in it."""
        try:
            folder = _open_folder(name, top)
        except OSError:
            return []
        moved: list[str] = []
        try:
            for inner in self._folders_in(folder, set()):
                found = self._move(folder, inner, top, level)
                if found is not None:
                    moved.append(found)
        finally:
            os.close(folder)
        return moved

    def _folders_in(self, folder: int, without: set[str]) -> list[str]:
        """Remove all entries except folders with content; return the names of those folders."""
        left: list[str] = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if monotonic() > self._deadline:
                    raise _TimeIsUp
                if entry.name in without:
                    continue
                if not entry.is_dir(follow_symlinks=False):
                    _remove_entry(folder, entry.name)
                elif not _remove_if_empty(folder, entry.name):
                    left.append(entry.name)
        return left

    def _move(self, above: int, name: str, top: int, level: int) -> str | None:
        """Move a folder up to ``top``; return its new name there, or None if it cannot be moved."""
        self._count += 1
        fresh = f"{self._prefix}{self._count:x}"
        for _ in range(2):
            try:
                os.rename(name, fresh, src_dir_fd=above, dst_dir_fd=top)
            except PermissionError:  # a move changes .. in the folder, so it must be writable
                try:
                    make_accessible(name, above)
                except OSError:
                    return None
            except OSError as error:
                if error.errno == EXDEV and level < _MOST_NESTED:
                    self._enter(above, name, level)
                return None
            else:
                return fresh
        return None

    def _enter(self, above: int, name: str, level: int) -> None:
        """Empty a folder at its place, if it is on the same file system."""
        try:
            folder = _open_folder(name, above)
        except OSError:
            return
        try:
            if os.fstat(folder).st_dev == os.fstat(above).st_dev:
                self._empty(folder, level + 1)
        finally:
            os.close(folder)
        _remove_entry(above, name)


def _remove_entry(above: int, name: str) -> bool:
    """Remove a file, a link or an empty folder; return False if it is still there."""
    try:
        os.unlink(name, dir_fd=above)
    except FileNotFoundError:
        return True
    except OSError:  # as a rule because the entry is a folder
        return _remove_if_empty(above, name)
    return True


def _remove_if_empty(above: int, name: str) -> bool:
    """Remove a folder if it is empty; return False if it is still there."""
    try:
        os.rmdir(name, dir_fd=above)
    except OSError:
        return False
    return True
