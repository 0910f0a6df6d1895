"""
Manage the run folder, which holds control sockets and unpacked versions and belongs to one user.

A server has three entries in it: its own folder, its control socket and a lock. The lock (flock)
says whether another server uses the same name. A process id could not say that: two containers that
share the folder do not see each other's processes. The files of an earlier server are moved aside,
which takes no time, no matter how many they are. They are removed while the new server serves.
"""

from __future__ import annotations

import fcntl
import os
import stat
from errno import EEXIST

from hotwhisk.config.addresses import control_path, server_name
from hotwhisk.config.config import default_run_dir
from hotwhisk.errors import StartError
from hotwhisk.record import Record
from hotwhisk.system.removal import make_accessible, remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from hotwhisk.config.config import Config

LONGEST_SOCKET = 107
"""Most bytes of the path of a unix socket."""

LEFT = "0"
"""In a server's folder, beside its generations: the folder for files of an earlier server."""

MOST_NAMES = 100
"""Most names that are tried for a server's folder, if some can neither be used nor moved."""


class RunFolder(Record):
    """A run folder in which one server has its folder, ``own``, and holds the lock."""

    path: str
    place: str
    own: str
    lock: int

    def has_leftovers(self) -> bool:
        """Return whether `LEFT` has files of an earlier server."""
        return os.path.lexists(f"{self.own}/{LEFT}")

    def remove(self, seconds: float) -> None:
        """Remove the server's files, for at most ``seconds``; the next start finds the rest."""
        remove(self.own, seconds)
        remove(_lock_path(self.path, self.place))
        os.close(self.lock)


def open_folder(config: Config, environ: Mapping[str, str]) -> str:
    """
    Make sure that there is a run folder, and return its path.

    Raises:
        StartError: the folder cannot be made, or others can write to it.
    """
    folder = os.path.abspath(config.run_dir or default_run_dir(environ, os.getuid()))
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        _check_owner(folder)
        make_accessible(os.path.realpath(folder))
    except OSError as error:
        raise _unusable(folder, error) from error
    place = control_path(folder, server_name(config.host, config.port))
    if len(os.fsencode(place)) > LONGEST_SOCKET:
        raise StartError(f"{folder} is too long for the path of a socket; give --run-dir another")
    return folder


def claim_folder(config: Config, environ: Mapping[str, str]) -> RunFolder:
    """
    Open the run folder for one server, and make an empty folder of its own there.

    Raises:
        StartError: the folder cannot be made, or another server uses it.
    """
    folder, place = open_folder(config, environ), server_name(config.host, config.port)
    try:
        lock = _lock(folder, place)
        own = _make_own(folder, place)
    except OSError as error:
        raise _unusable(folder, error) from error
    return RunFolder(folder, place, own, lock)


def _check_owner(folder: str) -> None:
    """Refuse a folder that another user owns, can write to, or can exchange for another one."""
    link, found = os.lstat(folder), os.stat(folder)
    advice = "remove it, or give --run-dir a folder of your own"
    if link.st_uid not in (0, os.getuid()):
        what = "a link of another user" if stat.S_ISLNK(link.st_mode) else "another user's"
        raise StartError(f"{folder} is {what} (uid {link.st_uid}); {advice}")
    if found.st_uid != os.getuid():
        raise StartError(
            f"{folder} belongs to another user (uid {found.st_uid}); give --run-dir another folder"
        )
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise StartError(f"{folder} can be written by others; give --run-dir another folder")


def _lock_path(folder: str, place: str) -> str:
    return f"{folder}/{place}.lock"


def _lock(folder: str, place: str) -> int:
    """Return a descriptor that holds the lock of a place until it is closed."""
    path = _lock_path(folder, place)
    # Not opened for writing, because a file system with a file open for writing cannot be made
    # read-only.
    flags = os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    tries = 0
    while True:
        tries += 1
        try:
            lock = os.open(path, flags, 0o600)
        except OSError:  # an action left something else under that name
            if tries > 1:
                raise
            remove(path)
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise StartError(
                f"{folder}/{place} is in use by another server of that port, which runs or stops, "
                "perhaps in another container; give each server its own --run-dir"
            ) from None
        except OSError:  # the file system has no locks
            return lock
        try:
            if os.fstat(lock).st_ino == os.lstat(path).st_ino:
                return lock
        except FileNotFoundError:  # another server has just removed the file
            pass
        os.close(lock)


def _make_own(folder: str, place: str) -> str:
    """Make an empty folder for a server, and move what an earlier one left into it."""
    above = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for count in range(MOST_NAMES):
            name = f"{place}.{count}" if count else place
            _move_aside(above, name, f".{place}.{os.urandom(6).hex()}")
            try:
                os.mkdir(name, 0o700, dir_fd=above)
            except FileExistsError:  # a mount point or a read-only folder has that name
                continue
            _gather(above, f".{place}.", f"{folder}/{name}/{LEFT}")
            return f"{folder}/{name}"
    finally:
        os.close(above)
    raise FileExistsError(EEXIST, os.strerror(EEXIST))


def _move_aside(above: int, name: str, aside: str) -> None:
    """Remove a file or a link, or rename a folder, if the system allows it."""
    try:
        os.unlink(name, dir_fd=above)
    except OSError:
        try:
            os.rename(name, aside, src_dir_fd=above, dst_dir_fd=above)
        except OSError:
            pass


def _gather(above: int, prefix: str, left: str) -> None:
    """Move every entry that was put aside into the folder ``left``, if the system allows it."""
    for name in os.listdir(above):
        if not name.startswith(prefix):
            continue
        try:
            make_accessible(name, above)
            os.makedirs(left, mode=0o700, exist_ok=True)
            os.rename(name, f"{left}/{name}", src_dir_fd=above)
        except OSError:  # another user owns it, or it cannot be moved: it does not disturb a server
            pass


def _unusable(folder: str, error: OSError) -> StartError:
    return StartError(f"cannot use {folder}: {error.strerror}; give --run-dir a writable folder")
