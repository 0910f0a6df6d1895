"""
Open the database, and hand out its connections.

Strategy. SQLite in WAL mode has one writer and many readers that do not wait for it. So there is
one connection for writing, behind a lock, and a few for reading, which are used again. A write is
acknowledged after its commit: then a kill of every process loses nothing. ``synchronous=NORMAL``
keeps that promise, but the last commits may be lost if the machine itself loses power.

An open file can be written after it was removed or another was put in its place, and what is
written is lost. So each write checks, before it begins and before it is acknowledged, that the
files are those at their paths. After a write that failed, `Database.check` finds out whether there
is room again.
"""

from __future__ import annotations

import errno
import os
import queue
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import quote

from hotwhisk.errors import StartError
from hotwhisk.gateway.data_folder import unusable
from hotwhisk.gateway.store.migrations import MIGRATIONS

_BUSY_SECONDS: Final = 30.0
_ROOM: Final = 1 << 20
"""Bytes that must be free before a database whose writes failed counts as writable."""

_SUFFIXES: Final = ("", "-wal", "-shm")
_CODES: Final = {
    errno.ENOSPC: sqlite3.SQLITE_FULL,
    errno.EDQUOT: sqlite3.SQLITE_FULL,
    errno.EROFS: sqlite3.SQLITE_READONLY,
}


_RESTORE: Final = "stop the gateway, and restore a backup"
_REASONS: Final = {
    sqlite3.SQLITE_FULL: ("the disk is full", "make room, then try again"),
    sqlite3.SQLITE_IOERR: ("its disk has failed or is full", "make room, then try again"),
    sqlite3.SQLITE_READONLY: ("its disk or file is read-only", "make it writable"),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", _RESTORE),
    sqlite3.SQLITE_NOTADB: ("it is damaged", _RESTORE),
    sqlite3.SQLITE_BUSY: ("another program holds it", "try again"),
}
_OF_DISK: Final = _REASONS.keys() - {sqlite3.SQLITE_BUSY} | {sqlite3.SQLITE_CANTOPEN}


class FilesLost(sqlite3.OperationalError):
    """The files of the database were removed or replaced while it was open."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} was removed or replaced while hotwhisk up uses it: put it back, or start "
            "hotwhisk up again"
        )


class Database:
    """
    A database file, which is made if it is missing.

    ``changed`` is called with the name of a namespace when something of it is written.

    Raises:
        StartError: the file cannot be written, is damaged or is from a newer hotwhisk.
    """

    def __init__(self, path: str, changed: Callable[[str], None] = lambda _: None) -> None:
        self._path = path
        self._changed = changed
        self._lock = threading.Lock()
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._refused = False
        """Whether the disk has refused the last write."""
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            os.chmod(path, 0o600)
        except OSError as error:
            raise unusable(path, error) from None
        try:
            self._writer = self._connect()
            _migrate(self._writer, path)
            self._files = self._files_there()
        except sqlite3.Error as error:
            raise StartError(f"{path} cannot be used: {describe(error)}") from None

    @contextmanager
    def writing(self, namespace: str | None = None) -> Iterator[sqlite3.Connection]:
        """
        Begin a transaction, and commit it at the end. An exception rolls it back.

        ``namespace`` is the one whose pages show what is written.
        """
        with self._lock:
            self._check_files()
            before = self._writer.total_changes
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException as error:
                self._refused = self._refused or _is_of_disk(error)
                if self._writer.in_transaction:  # SQLite ends it itself when the disk is full
                    self._writer.execute("ROLLBACK")
                raise
            self._check_files()
            if self._writer.total_changes > before:
                self._refused = False
        if namespace is not None:
            self._changed(namespace)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection that sees what is committed."""
        try:
            connection = self._readers.get_nowait()
        except queue.Empty:
            self._check_files()
            connection = self._connect()
        try:
            yield connection
        finally:
            self._readers.put(connection)

    @property
    def is_failing(self) -> bool:
        """Whether the last write failed, or the files are gone."""
        return self._refused or self._files_there() != self._files

    def check(self) -> None:
        """
        Find out whether the database can be written, if its last write failed.

        Raises:
            sqlite3.Error: it cannot.
        """
        self._check_files()
        if not self._refused:
            return
        try:
            with tempfile.TemporaryFile(dir=os.path.dirname(self._path)) as file:
                os.posix_fallocate(file.fileno(), 0, _ROOM)
        except OSError as error:
            refusal = sqlite3.OperationalError(error.strerror)
            refusal.sqlite_errorcode = _CODES.get(error.errno or 0, sqlite3.SQLITE_IOERR)
            raise refusal from None
        with self.writing() as connection:
            connection.execute("UPDATE namespaces SET created = created")

    def backup(self, path: str) -> None:
        """
        Write a copy of the database as it is now, while others read and write.

        The file appears at once and as a whole, readable by its owner alone.

        Raises:
            StartError: there is such a file, or it cannot be written.
        """
        if os.path.lexists(path):
            raise StartError(f"{path} exists already; give a new name")
        partial = f"{path}.{os.getpid()}"
        try:
            descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            try:
                with self.reading() as connection:
                    connection.execute("VACUUM INTO ?", (partial,))
                os.fsync(descriptor)
                os.rename(partial, path)
            except BaseException:
                os.unlink(partial)
                raise
            finally:
                os.close(descriptor)
        except (OSError, sqlite3.Error) as error:
            reason = describe(error) if isinstance(error, sqlite3.Error) else error.strerror
            raise StartError(f"{path} cannot be written: {reason}") from None

    def close(self) -> None:
        """Close all connections. No thread may use one."""
        while not self._readers.empty():
            self._readers.get_nowait().close()
        self._writer.close()

    def _files_there(self) -> tuple[tuple[int, int] | None, ...]:
        """Return what identifies each file of the database; None for one that is missing."""
        return tuple(_identity(self._path + suffix) for suffix in _SUFFIXES)

    def _check_files(self) -> None:
        if self._files_there() != self._files:
            raise FilesLost(self._path)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(self._path)}?mode=rw",  # which makes no file
            uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False,
        )  # fmt: skip
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
        return connection


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_of_disk(error: BaseException) -> bool:
    return isinstance(error, sqlite3.Error) and code_of(error) in _OF_DISK


def code_of(error: sqlite3.Error) -> int:
    """Return the code of an error without the bits that say more, or 0 if it has none."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def reason(error: sqlite3.Error) -> str:
    """Return what was wrong with the database."""
    return _REASONS.get(code_of(error), (str(error), ""))[0]


def describe(error: sqlite3.Error) -> str:
    """Return what was wrong with the database, and what to do."""
    if isinstance(error, FilesLost):
        return str(error)
    what, advice = _REASONS.get(code_of(error), (str(error), "if it comes again, restore a backup"))
    return f"{what}: {advice}"


def _migrate(connection: sqlite3.Connection, path: str) -> None:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version < 0:
        raise StartError(f"{path} is damaged: restore a backup, or give another --data FOLDER")
    if version > len(MIGRATIONS):
        raise StartError(
            f"a newer hotwhisk has written {path}: install that one, or give another --data FOLDER"
        )
    for number in range(version, len(MIGRATIONS)):
        script = f"BEGIN; {MIGRATIONS[number]} PRAGMA user_version={number + 1}; COMMIT;"
        connection.executescript(script)
