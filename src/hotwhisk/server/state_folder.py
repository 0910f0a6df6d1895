"""
The state folder (``--state``): what a server keeps over a restart.

`HISTORY` lists the versions; ``N.version`` is the content of generation N. Each file is written
under another name, flushed to the disk and renamed, and the list comes after the contents that it
names. So the folder holds the old history or the new one, whenever the writer is killed. A lock
(flock) on `LOCK` says whether another server uses the folder; the process that writes holds it too.

Nothing here stops a start: what is wrong with the folder is a text for the log.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import time
from collections.abc import Callable, Sequence
from errno import EACCES, EPERM, EROFS
from functools import partial

from hotwhisk.artifact import version_file
from hotwhisk.record import Record
from hotwhisk.supervisor import history_text
from hotwhisk.supervisor.artifacts import StoredArtifact
from hotwhisk.supervisor.history import Content, Version
from hotwhisk.system.removal import remove, remove_in

HISTORY = "history.json"
DAMAGED = "damaged"
"""A folder in the state folder: the latest history that was damaged, and its contents."""

LOCK = "lock"
MOST_TEXT = 1 << 20
"""Most bytes of the list of versions."""

LOCK_WAIT = 1.0
"""Seconds to wait for the lock. The writer of a server that was killed may still hold it."""

NOT_WRITABLE = frozenset({EACCES, EPERM, EROFS})
_CONTENT = re.compile(r"\d{1,16}\.version")
_UNFINISHED = re.compile(r"\.[\w.]+\.new")
_OTHERS = frozenset({HISTORY, LOCK, DAMAGED})
_NOT_OURS = frozenset({"lost+found"})
"""Entries that a fresh file system has."""


class StateFolder(Record):
    """
    A state folder with the ``versions`` of an earlier server.

    ``lock`` is the descriptor that locks it, -1 if nothing is to be written there. ``problem`` says
    what is wrong; it is empty if nothing is.
    """

    path: str
    lock: int = -1
    problem: str = ""
    versions: Sequence[Version] = ()


def content_path(folder: str, number: int) -> str:
    """Return the path of the file with the content of a generation."""
    return f"{folder}/{number}.version"


def open_state(path: str) -> StateFolder:
    """Make the state folder if it is missing, lock it, and read the history."""
    path, lock, problem = os.path.abspath(path), -1, ""
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        if problem := _not_ours(path):
            return StateFolder(path, problem=problem)
        lock = _lock(f"{path}/{LOCK}")
        if lock < 0:
            return StateFolder(path, problem="another server uses it")
    except OSError as error:
        problem = str(error.strerror or error)
        if error.errno not in NOT_WRITABLE:
            return StateFolder(path, problem=problem)
    try:
        return StateFolder(path, lock, problem, read_versions(path))
    except history_text.LaterFormat as error:
        problem = problem or f"{HISTORY}: {error}"
    except ValueError as error:
        _put_aside(path)
        problem = problem or f"{HISTORY} is damaged, and now in the folder {DAMAGED}: {error}"
        return StateFolder(path, lock, problem)
    except OSError as error:
        problem = problem or f"{HISTORY} cannot be read: {error.strerror}"
    if lock >= 0:
        os.close(lock)
    return StateFolder(path, problem=problem)


def read_versions(path: str) -> list[Version]:
    """
    Return the versions in a state folder, the oldest first; none if it has no history.

    Raises:
        LaterFormat: a later hotwhisk wrote it.
        ValueError: the history is damaged.
        OSError: it cannot be read.
    """
    try:
        text = version_file.read_file(f"{path}/{HISTORY}", MOST_TEXT)
    except FileNotFoundError:
        return []
    versions = history_text.read(text)
    for content in {each.content for each in versions}:
        file = content_path(path, content.number)
        if content.size and _size(file) == content.size:
            content.file = StoredArtifact(file, content.origin)
        else:
            content.size = 0
    return versions


def write_state(
    path: str, contents: Sequence[Content], versions: Sequence[Version]
) -> list[tuple[int, int]]:
    """
    Write contents that are in memory, then the history; remove the contents that it does not name.

    Returns the number and the size of each content that was written.

    Raises:
        OSError: the system refuses it; the folder holds the history from before.
    """
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    written = []
    try:
        for content in contents:
            held = content.artifact.held() if content.artifact is not None else None
            if held is not None and held[2] and not content.size:
                write = partial(version_file.write, held=held)
                content.size = _replace(folder, f"{content.number}.version", write)
                written.append((content.number, content.size))
        os.fsync(folder)  # before a history names them
        text = history_text.write(versions)
        _replace(folder, HISTORY, lambda file: version_file.write_all(file, text))
        os.fsync(folder)
        _remove_others(folder, {each.content.number for each in versions if each.content.size})
    finally:
        os.close(folder)
    return written


def _not_ours(path: str) -> str:
    """Say why a folder cannot be a server's own; empty if it can."""
    found = os.stat(path)
    if found.st_uid != os.getuid():
        return f"it belongs to another user (uid {found.st_uid})"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "others can write to it: its versions would be run (chmod 700)"
    names = [each for each in os.listdir(path) if each not in _NOT_OURS]
    foreign = sorted(each for each in names if not (_is_content(each) or each in _OTHERS))
    if foreign and HISTORY not in names:
        return f"it holds something else ({foreign[0]}); expected an empty folder, or a history"
    return ""


def _lock(path: str) -> int:
    """
    Return a descriptor that holds the lock until it is closed; -1 if another server holds it.

    Raises:
        OSError: the file cannot be made.
    """
    flags = os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    lock = os.open(path, flags, 0o600)
    until = time.monotonic() + LOCK_WAIT
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < until:
                time.sleep(0.01)
                continue
            os.close(lock)
            return -1
        except OSError:  # the file system has no locks
            pass
        return lock


def _size(path: str) -> int:
    """Return the size of a file; 0 if there is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def _put_aside(path: str) -> None:
    """
    Move a damaged history and all contents into a folder, where no later version replaces them.

    The history is moved last. So if this is interrupted, the next start goes on with it.
    """
    folder = f"{path}/{DAMAGED}"
    try:
        if os.path.lexists(f"{folder}/{HISTORY}"):
            remove(folder)  # it holds an earlier one
        os.makedirs(folder, mode=0o700, exist_ok=True)
        for name in [*filter(_CONTENT.fullmatch, os.listdir(path)), HISTORY]:
            os.rename(f"{path}/{name}", f"{folder}/{name}")
    except OSError:
        pass  # the next history takes its place


def _is_content(name: str) -> bool:
    """Return whether a file is the content of a version, or what an interrupted writer left."""
    return bool(_CONTENT.fullmatch(name) or _UNFINISHED.fullmatch(name))


def _replace(folder: int, name: str, write: Callable[[int], int]) -> int:
    """
    Put a new file in the place of an old one, and return its size; ``write`` gets its descriptor.

    The name always leads to a whole file.

    Raises:
        OSError: the system refuses it; the old file is still there.
    """
    fresh = f".{name}.new"
    remove_in(folder, fresh)  # a writer that was killed may have left it
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    file = os.open(fresh, flags, 0o600, dir_fd=folder)
    try:
        size = write(file)
        os.fsync(file)
        os.rename(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        remove_in(folder, fresh)  # on a full disk it is in the way
        raise
    finally:
        os.close(file)
    return size


def _remove_others(folder: int, kept: set[int]) -> None:
    """Remove the contents that no version names, and what an interrupted writer left."""
    names = {f"{each}.version" for each in kept}
    for name in os.listdir(folder):
        if _is_content(name) and name not in names:
            remove_in(folder, name)
