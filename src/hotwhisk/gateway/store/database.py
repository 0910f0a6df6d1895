"""
Open the database, and hand out its connections.

Strategy. SQLite in WAL mode has one writer and many readers that do not wait for it. So there is
one connection for writing, behind a lock, and a few for reading, which are used again. A write is
acknowledged after its commit: then a kill of every process loses nothing. ``synchronous=NORMAL``
keeps that promise, but the last commits may be lost if the machine itself loses power.
"""

from __future__ import annotations

import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hotwhisk.errors import StartError
from hotwhisk.gateway.store.migrations import MIGRATIONS

_BUSY_SECONDS = 30.0


class Database:
    """
    A database file, which is made if it is missing.

    ``changed`` is called with the name of a namespace when something of it is written.

    Raises:
        StartError: the file is not a database, or a newer hotwhisk has written it.
    """

    def __init__(self, path: str, changed: Callable[[str], None] = lambda _: None) -> None:
        self._path = path
        self._changed = changed
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        self._lock = threading.Lock()
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        try:
            self._writer = self._connect()
            _migrate(self._writer, path)
        except sqlite3.Error as error:
            raise StartError(
                f"{path} cannot be used: {error}; restore a backup, or choose another --data"
            ) from None

    @contextmanager
    def writing(self, namespace: str | None = None) -> Iterator[sqlite3.Connection]:
        """
        Begin a transaction, and commit it at the end. An exception rolls it back.

        ``namespace`` is the one whose pages show what is written.
        """
        with self._lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")
        if namespace is not None:
            self._changed(namespace)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection that sees what is committed."""
        try:
            connection = self._readers.get_nowait()
        except queue.Empty:
            connection = self._connect()
        try:
            yield connection
        finally:
            self._readers.put(connection)

    def backup(self, path: str) -> None:
        """Write a copy of the database as it is now, while others read and write."""
        with self.reading() as connection:
            connection.execute("VACUUM INTO ?", (path,))
        os.chmod(path, 0o600)

    def close(self) -> None:
        """Close all connections. No thread may use one."""
        while not self._readers.empty():
            self._readers.get_nowait().close()
        self._writer.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
        return connection


def _migrate(connection: sqlite3.Connection, path: str) -> None:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise StartError(
            f"a newer hotwhisk has written {path}: install that one, or choose another --data"
        )
    for number in range(version, len(MIGRATIONS)):
        script = f"BEGIN; {MIGRATIONS[number]} PRAGMA user_version={number + 1}; COMMIT;"
        connection.executescript(script)
