"""Store namespaces, each with the key that opens it."""

from __future__ import annotations

import secrets
import time
import uuid
from dataclasses import dataclass, field

from hotwhisk.gateway.store.database import Database


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace and its key: the user name and the password of HTTP Basic authentication."""

    name: str
    uuid: str
    key: str = field(repr=False)  # so that no text of an error can show it

    @property
    def auth(self) -> str:
        """The key as ``wsk property set --auth`` takes it."""
        return f"{self.uuid}:{self.key}"


class Namespaces:
    """The table of namespaces. Keys are random."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ensure(self, name: str) -> Namespace:
        """Return a namespace, which is made with a new key if it is missing."""
        new = Namespace(name, str(uuid.uuid4()), _new_key())
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO namespaces VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (new.name, new.uuid, new.key, int(time.time() * 1000)),
            )
            row = connection.execute(
                "SELECT name, uuid, key FROM namespaces WHERE name = ?", (name,)
            ).fetchone()
        return Namespace(*row)

    def renew(self, name: str) -> Namespace:
        """Give a namespace a new key; the old one opens nothing from now on."""
        self.ensure(name)
        with self._database.writing() as connection:
            connection.execute("UPDATE namespaces SET key = ? WHERE name = ?", (_new_key(), name))
        return self.ensure(name)

    def named(self, name: str) -> Namespace | None:
        """Return a namespace by its name."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT name, uuid, key FROM namespaces WHERE name = ?", (name,)
            ).fetchone()
        return Namespace(*row) if row else None

    def with_uuid(self, identifier: str) -> Namespace | None:
        """Return the namespace whose key has this first part."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT name, uuid, key FROM namespaces WHERE uuid = ?", (identifier,)
            ).fetchone()
        return Namespace(*row) if row else None

    def all(self) -> list[Namespace]:
        """Return all namespaces, in the order in which they were made."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT name, uuid, key FROM namespaces ORDER BY created, name"
            ).fetchall()
        return [Namespace(*row) for row in rows]


def _new_key() -> str:
    return secrets.token_urlsafe(48)
