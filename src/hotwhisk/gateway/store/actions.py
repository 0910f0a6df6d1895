"""Store actions, with their code and with every earlier version."""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hotwhisk.gateway.log import log_event
from hotwhisk.gateway.names import joined
from hotwhisk.gateway.store.database import Database
from hotwhisk.gateway.store.versions import new_version

ActionKey = tuple[str, str, str]
"""What an action is stored under: namespace, package (empty for the default one), name."""

_COLUMNS = (
    "v.revision, v.namespace, v.package, v.name, v.version, v.document, v.code, v.updated, "
    "v.init_ms, v.failure"
)


@dataclass(frozen=True, slots=True)
class StoredAction:
    """
    One version of an action.

    ``document`` is what the API shows but for the code: ``exec``, ``parameters``, ``annotations``,
    ``limits``, ``publish``. ``package`` is empty for the default package. ``digest`` names the
    code; a sequence has none. ``updated`` is in milliseconds since the epoch. ``init_ms`` is how
    long the last ``/init`` of this version took, and ``failure`` why it failed.
    """

    revision: int
    namespace: str
    package: str
    name: str
    version: str
    document: dict[str, Any] = field(hash=False)
    digest: str | None = None
    updated: int = 0
    init_ms: int | None = None
    failure: str | None = None

    @property
    def key(self) -> ActionKey:
        """What the versions of the action are stored under."""
        return self.namespace, self.package, self.name

    @property
    def path(self) -> str:
        """The full name: ``namespace/package/name``, without a slash before it."""
        return joined(*self.key)

    @property
    def local_path(self) -> str:
        """The name in its namespace: ``package/name`` or ``name``."""
        return joined(self.package, self.name)

    @property
    def components(self) -> list[str] | None:
        """The actions of a sequence, as full names; None for an action with code."""
        found: list[str] | None = self.document["exec"].get("components")
        return found


class Actions:
    """The tables of actions, of their versions, and of code."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(
        self,
        key: ActionKey,
        document: dict[str, Any],
        code: str | None,
        *,
        version: str | None = None,
        expected: str | None = None,
    ) -> StoredAction:
        """
        Store a new version of an action, and make it the current one.

        The number of the version is the last one plus one, unless ``version`` gives another.
        ``expected`` is the version that the writer has read: empty if there was none, None if any
        may be replaced.

        Raises:
            Conflict: another version than the expected one is current.
        """
        with self._database.writing(key[0]) as connection:
            current = _current(connection, key)
            version = new_version(
                current.version if current else None, wanted=version, expected=expected
            )
            digest = _keep_code(connection, code)
            updated = int(time.time() * 1000)
            cursor = connection.execute(
                "INSERT INTO action_versions "
                "(namespace, package, name, version, document, code, updated) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*key, version, json.dumps(document), digest, updated),
            )
            revision = cursor.lastrowid
            assert revision is not None
            connection.execute(
                "INSERT INTO actions VALUES (?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET revision = excluded.revision",
                (*key, revision),
            )
        stored = StoredAction(revision, *key, version, document, digest, updated)
        done = "updated" if current else "created"
        log_event(f"action {stored.path} {done} ({version})", action=stored.path, version=version)
        return stored

    def get(self, key: ActionKey) -> StoredAction | None:
        """Return the current version of an action."""
        with self._database.reading() as connection:
            return _current(connection, key)

    def version(self, revision: int) -> StoredAction | None:
        """Return one version of an action."""
        with self._database.reading() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM action_versions v WHERE revision = ?", (revision,)
            ).fetchone()
        return _action(row) if row else None

    def versions(self, key: ActionKey) -> list[StoredAction]:
        """Return all versions of an action, the newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM action_versions v "
                "WHERE namespace = ? AND package = ? AND name = ? ORDER BY revision DESC",
                key,
            ).fetchall()
        return [_action(row) for row in rows]

    def list(self, namespace: str, package: str | None = None) -> list[StoredAction]:
        """Return the current actions of a namespace or of one package, the newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM actions a JOIN action_versions v USING (revision) "
                "WHERE a.namespace = :namespace AND (:package IS NULL OR a.package = :package) "
                "ORDER BY v.updated DESC, v.revision DESC",
                {"namespace": namespace, "package": package},
            ).fetchall()
        return [_action(row) for row in rows]

    def code(self, digest: str) -> str | None:
        """Return code by its digest: a source text, or base64. None if it was deleted."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT content FROM codes WHERE digest = ?", (digest,)
            ).fetchone()
        return row[0] if row else None

    def delete(self, key: ActionKey) -> bool:
        """Remove an action with all its versions; return False if there is none."""
        with self._database.writing(key[0]) as connection:
            where = "WHERE namespace = ? AND package = ? AND name = ?"
            found = connection.execute(f"DELETE FROM actions {where}", key).rowcount
            connection.execute(f"DELETE FROM action_versions {where}", key)
            connection.execute(
                "DELETE FROM codes WHERE digest NOT IN "
                "(SELECT code FROM action_versions WHERE code IS NOT NULL)"
            )
        if found:
            path = joined(*key)
            log_event(f"action {path} deleted", action=path)
        return found > 0

    def loaded(self, action: StoredAction, init_ms: int, failure: str | None = None) -> None:
        """Note how the last ``/init`` of a version went."""
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE action_versions SET init_ms = ?, failure = ? WHERE revision = ?",
                (init_ms, failure, action.revision),
            )
        if failure is not None:
            path, version = action.path, action.version
            reason = failure.strip().rpartition("\n")[2]
            text = f"action {path} did not load ({version}): {reason}"
            log_event(text, level=logging.WARNING, action=path, version=version)

    def codes(self) -> Iterator[str]:
        """Return the digests of all code that is kept."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT digest FROM codes ORDER BY digest").fetchall()
        return (row[0] for row in rows)


def code_digest(code: str) -> str:
    """Return the name under which code is kept."""
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()


def _keep_code(connection: sqlite3.Connection, code: str | None) -> str | None:
    if code is None:
        return None
    digest = code_digest(code)
    connection.execute("INSERT INTO codes VALUES (?, ?) ON CONFLICT DO NOTHING", (digest, code))
    return digest


def _current(connection: sqlite3.Connection, key: ActionKey) -> StoredAction | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM actions a JOIN action_versions v USING (revision) "
        "WHERE a.namespace = ? AND a.package = ? AND a.name = ?",
        key,
    ).fetchone()
    return _action(row) if row else None


def _action(row: tuple[Any, ...]) -> StoredAction:
    revision, namespace, package, name, version, document, code, updated, init_ms, failure = row
    return StoredAction(
        revision, namespace, package, name, version, json.loads(document), code, updated,
        init_ms, failure,
    )  # fmt: skip
