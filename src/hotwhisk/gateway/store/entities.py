"""Store packages, triggers and rules."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from hotwhisk.gateway.store.database import Database
from hotwhisk.gateway.store.versions import new_version


@dataclass(frozen=True, slots=True)
class Entity:
    """
    A package, a trigger or a rule.

    ``document`` is what the API shows, but for the names and the version. ``updated`` is in
    milliseconds since the epoch.
    """

    namespace: str
    name: str
    version: str
    document: dict[str, Any] = field(hash=False)
    updated: int = 0

    @property
    def path(self) -> str:
        """The full name: ``namespace/name``."""
        return f"{self.namespace}/{self.name}"


class Entities:
    """The entities of one kind: ``package``, ``trigger`` or ``rule``."""

    def __init__(self, database: Database, kind: str) -> None:
        self._database = database
        self._kind = kind

    def put(
        self,
        namespace: str,
        name: str,
        document: dict[str, Any],
        *,
        version: str | None = None,
        expected: str | None = None,
    ) -> Entity:
        """
        Store an entity; the number of its version is the last one plus one, unless it is given.

        ``expected`` is the version that the writer has read: empty if there was none, None if any
        may be replaced.

        Raises:
            Conflict: another version than the expected one is stored.
        """
        updated = int(time.time() * 1000)
        with self._database.writing(namespace) as connection:
            row = connection.execute(
                "SELECT version FROM entities WHERE kind = ? AND namespace = ? AND name = ?",
                (self._kind, namespace, name),
            ).fetchone()
            version = new_version(row[0] if row else None, wanted=version, expected=expected)
            connection.execute(
                "INSERT OR REPLACE INTO entities VALUES (?, ?, ?, ?, ?, ?)",
                (self._kind, namespace, name, version, json.dumps(document), updated),
            )
        return Entity(namespace, name, version, document, updated)

    def get(self, namespace: str, name: str) -> Entity | None:
        """Return an entity."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT namespace, name, version, document, updated FROM entities "
                "WHERE kind = ? AND namespace = ? AND name = ?",
                (self._kind, namespace, name),
            ).fetchone()
        return _entity(row) if row else None

    def having(self, namespace: str, field: str, value: str) -> list[Entity]:
        """
        Return the entities of a namespace whose documents have this value in a field.

        The database looks for the text of the field, so that few documents are decoded.
        """
        text = json.dumps({field: value})[1:-1]
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT namespace, name, version, document, updated FROM entities "
                "WHERE kind = ? AND namespace = ? AND instr(document, ?) "
                "ORDER BY updated DESC, name",
                (self._kind, namespace, text),
            ).fetchall()
        return [each for each in map(_entity, rows) if each.document.get(field) == value]

    def list(self, namespace: str) -> list[Entity]:
        """Return the entities of a namespace, the newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT namespace, name, version, document, updated FROM entities "
                "WHERE kind = ? AND namespace = ? ORDER BY updated DESC, name",
                (self._kind, namespace),
            ).fetchall()
        return [_entity(row) for row in rows]

    def delete(self, namespace: str, name: str) -> bool:
        """Remove an entity; return False if there is none."""
        with self._database.writing(namespace) as connection:
            cursor = connection.execute(
                "DELETE FROM entities WHERE kind = ? AND namespace = ? AND name = ?",
                (self._kind, namespace, name),
            )
        return cursor.rowcount > 0


def _entity(row: tuple[Any, ...]) -> Entity:
    namespace, name, version, document, updated = row
    return Entity(namespace, name, version, json.loads(document), updated)
