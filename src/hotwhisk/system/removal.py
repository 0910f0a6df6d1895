"""
Remove a folder that an action could write to: whatever it holds, and nothing outside it.

Everything is done by name relative to an open descriptor, and no link is followed. A folder
inside is never descended into where it lies: it is moved up, to the top of the tree, and emptied
there. So depth costs neither stack nor descriptors nor the length of a path, a few descriptors
are open at a time, work that was interrupted is not lost, and an action that swaps a folder for
a link meanwhile has the link removed. A mount point cannot be moved (EBUSY), and so is not entered.

Alternatives considered: `shutil.rmtree` (recursive, a descriptor per level); going down and coming
back by ``..`` (which leads elsewhere once somebody has moved the folder).

What cannot be removed, an immutable file or a mount point, is left. That is no error: whoever
removes has something more important to do.
"""

from __future__ import annotations

import os
import stat
from errno import EXDEV
from time import monotonic
from typing import Final

_ALWAYS: Final = float("inf")
_PATH_ONLY: Final = getattr(os, "O_PATH", os.O_RDONLY)
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_MOST_NESTED: Final = 64
"""Levels that are entered where they lie, on a file system that moves no folders (EXDEV)."""

_MOST_PASSES: Final = 8
"""How often a folder is looked through for what appeared meanwhile."""


class _TimeIsUp(Exception):
    """The rest has to wait."""


def remove(path: str, seconds: float = _ALWAYS) -> bool:
    """
    Remove a file, a link or a whole folder as far as that can be done.

    Returns False if it took longer than ``seconds``; to call it again goes on.
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
    """The same for ``name`` in the folder that is open as ``above``."""
    remover = _Remover(monotonic() + seconds)
    try:
        remover.remove(above, name)
    except _TimeIsUp:
        return False
    except OSError:  # nothing that can be listed
        pass
    return True


def make_accessible(name: str, above: int | None = None) -> None:
    """
    Give the owner all rights to a folder, if that is this user; never through a link.

    Raises:
        OSError: it is no folder, or the rights cannot be changed.
    """
    flags = _PATH_ONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    folder = os.open(name, flags, dir_fd=above)
    try:
        found = os.fstat(folder)
        if found.st_mode & stat.S_IRWXU != stat.S_IRWXU and found.st_uid == os.geteuid():
            # By way of /proc: what is open as a path only has no rights to change its mode.
            os.chmod(f"/proc/self/fd/{folder}", stat.S_IMODE(found.st_mode) | stat.S_IRWXU)
    finally:
        os.close(folder)


def _open_folder(name: str, above: int | None = None) -> int:
    """A descriptor of a folder, with all rights of its owner restored if that is this user."""
    try:
        folder = os.open(name, _FOLDER, dir_fd=above)
    except PermissionError:
        make_accessible(name, above)
        return os.open(name, _FOLDER, dir_fd=above)
    found = os.fstat(folder)
    if found.st_mode & stat.S_IRWXU != stat.S_IRWXU and found.st_uid == os.geteuid():
        try:
            os.fchmod(folder, stat.S_IMODE(found.st_mode) | stat.S_IRWXU)
        except OSError:  # a file system without modes, or one that is only read
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
            OSError: it is a folder that cannot be opened.
            _TimeIsUp: something is left that could be removed.
        """
        if _is_removed(above, name):
            return
        top = _open_folder(name, above)
        try:
            self._empty(top, 0)
        finally:
            os.close(top)
        _is_removed(above, name)

    def _empty(self, top: int, level: int) -> None:
        """Remove what is in a folder, moving each folder that is met up into ``top``."""
        hopeless: set[str] = set()
        for _ in range(_MOST_PASSES):
            waiting = self._folders_in(top, hopeless)
            if not waiting:
                return
            while waiting:
                name = self._move(top, waiting.pop(), top, level)
                if name is None:
                    continue  # entered where it was, or a mount point
                waiting += self._flatten(top, name, level)
                if not _is_empty_and_removed(top, name):
                    hopeless.add(name)

    def _flatten(self, top: int, name: str, level: int) -> list[str]:
        """Empty one folder in ``top``; returns the new names of the folders that were in it."""
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
        """Remove all that is no folder or an empty one; returns the names of the others."""
        left: list[str] = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if monotonic() > self._deadline:
                    raise _TimeIsUp
                if entry.name in without:
                    continue
                if not entry.is_dir(follow_symlinks=False):
                    _is_removed(folder, entry.name)
                elif not _is_empty_and_removed(folder, entry.name):
                    left.append(entry.name)
        return left

    def _move(self, above: int, name: str, top: int, level: int) -> str | None:
        """Move a folder up to ``top``; returns its new name there, None if it cannot be moved."""
        self._count += 1
        fresh = f"{self._prefix}{self._count:x}"
        for _ in range(2):
            try:
                os.rename(name, fresh, src_dir_fd=above, dst_dir_fd=top)
            except PermissionError:  # the name .. in it changes, so it has to be writable
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
        """Empty a folder where it lies, if it is of the same file system."""
        try:
            folder = _open_folder(name, above)
        except OSError:
            return
        try:
            if os.fstat(folder).st_dev == os.fstat(above).st_dev:
                self._empty(folder, level + 1)
        finally:
            os.close(folder)
        _is_removed(above, name)


def _is_removed(above: int, name: str) -> bool:
    """Remove a file, a link or an empty folder; False if it is still there."""
    try:
        os.unlink(name, dir_fd=above)
    except FileNotFoundError:
        return True
    except OSError:  # a folder, as a rule
        return _is_empty_and_removed(above, name)
    return True


def _is_empty_and_removed(above: int, name: str) -> bool:
    """Remove a folder if it is empty; False if it is still there."""
    try:
        os.rmdir(name, dir_fd=above)
    except OSError:
        return False
    return True
