"""
Open the folder of data, which holds keys and code, for its owner alone.

The folder has mode 0700 and the database 0600, whatever the umask is. A folder with content that
others can enter is refused instead of mended: they may have read or changed it already.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from hotwhisk.errors import StartError

_LOCK = "lock"
_ADDRESS = "address"
_PROJECTS = "dev"
"""The folder with a folder of data for each project; see `hotwhisk.gateway.dev`."""


def open_data(folder: str) -> None:
    """
    Make the folder of data if it is missing, and check whose it is.

    Raises:
        StartError: it belongs to another user, others have rights in it, or it cannot be written.
    """
    try:
        make_private(folder)
        found = os.stat(folder)
    except OSError as error:
        raise unusable(folder, error) from None
    if not stat.S_ISDIR(found.st_mode):
        raise StartError(f"{folder} is not a folder; give --data FOLDER")
    if found.st_uid != os.geteuid():
        raise StartError(
            f"{folder} belongs to user {found.st_uid}, and its keys with it: run hotwhisk up as "
            "that user, or give --data FOLDER"
        )
    if found.st_mode & 0o077:
        _keep_others_out(folder, stat.S_IMODE(found.st_mode))
    if not os.access(folder, os.W_OK | os.X_OK):
        read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
        code = errno.EROFS if read_only else errno.EACCES
        raise unusable(folder, OSError(code, os.strerror(code)))


def make_private(folder: str) -> None:
    """Make a folder for its owner alone, with those above it, as XDG asks for."""
    if os.path.isdir(folder):
        return
    parent = os.path.dirname(folder)
    if parent:
        make_private(parent)
    with suppress(FileExistsError):
        os.mkdir(folder, 0o700)
        os.chmod(folder, 0o700)  # the umask may have taken rights of the owner


def _keep_others_out(folder: str, mode: int) -> None:
    """
    Take the rights of other users from a folder in which there was nothing to read or change yet.

    Raises:
        StartError: there was.
    """
    if not mode & 0o022 and set(os.listdir(folder)) <= {_PROJECTS}:
        os.chmod(folder, 0o700)
        return
    raise StartError(
        f"other users have rights in {folder} (mode {mode:04o}), which holds keys and code: "
        f"chmod -R go= {folder}, and replace keys that they may have read: "
        "hotwhisk up key NAME --new"
    )


@contextmanager
def only_gateway(folder: str) -> Iterator[None]:
    """
    Hold the lock of a folder of data, so that no second gateway writes to it.

    Raises:
        StartError: another gateway holds it.
    """
    try:
        lock = os.open(os.path.join(folder, _LOCK), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unusable(folder, error) from None
    try:
        if not _take(lock):
            raise StartError(_taken(folder))
        try:
            yield
        finally:
            with suppress(OSError):  # the folder may be gone
                os.unlink(os.path.join(folder, _ADDRESS))
    finally:
        os.close(lock)


def write_address(folder: str, url: str) -> None:
    """Note under which address the gateway serves, for commands that look for it."""
    path = os.path.join(folder, _ADDRESS)
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        file.write(url)


def running_address(folder: str) -> str | None:
    """Return the address of the gateway that uses a folder of data now, or None."""
    try:
        lock = os.open(os.path.join(folder, _LOCK), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if _try(lock, fcntl.LOCK_SH):
            return None
        with open(os.path.join(folder, _ADDRESS), encoding="utf-8") as file:
            return file.read() or None
    except OSError:
        return None
    finally:
        os.close(lock)


def unusable(path: str, error: OSError) -> StartError:
    """Return the error for a file or folder of data that the system refuses, with what to do."""
    advice = {
        errno.EROFS: "it is on a disk that is read-only: give --data FOLDER on another",
        errno.ENOSPC: "the disk is full: make room, or give --data FOLDER on another",
        errno.EDQUOT: "your quota is used up: make room, or give --data FOLDER elsewhere",
    }.get(error.errno or 0, "give --data FOLDER with one that you may write to")
    return StartError(f"{path} cannot be used: {error.strerror or error}; {advice}")


def _take(lock: int) -> bool:
    """Take the lock of a gateway; `running_address` may hold its shared form for a moment."""
    while not _try(lock, fcntl.LOCK_EX):
        if not _try(lock, fcntl.LOCK_SH):
            return False
    return True


def _try(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _taken(folder: str) -> str:
    url = running_address(folder)
    place = f"another hotwhisk uses {folder}" + (f" and serves on {url}" if url else "")
    return f"{place}: use that one, stop it, or give --data FOLDER"
