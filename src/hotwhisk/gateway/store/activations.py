"""Store activations: what was called, with what, what came of it, and what was logged."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hotwhisk.gateway.store.database import Database, reason

_COLUMNS = "document, logs, event, revision, package"


@dataclass(frozen=True, slots=True)
class StoredActivation:
    """
    An activation.

    ``record`` is what ``wsk activation get`` shows, with the logs. ``event`` is the argument that
    the action got. ``revision`` names the version that ran.
    """

    record: dict[str, Any] = field(hash=False)
    event: object = field(default=None, hash=False)
    revision: int | None = None
    package: str = ""

    @property
    def id(self) -> str:
        """The identifier: 32 hexadecimal digits."""
        identifier: str = self.record["activationId"]
        return identifier

    def annotation(self, key: str) -> Any:
        """Return the value of an annotation, or None."""
        return next(
            (each["value"] for each in self.record["annotations"] if each["key"] == key), None
        )


class NotStored(Exception):
    """
    Something has happened, and its record could not be stored.

    The cause is the `sqlite3.Error`. ``happened`` begins the sentence: "The action has run".
    """

    def __init__(self, happened: str, identifier: str, error: sqlite3.Error) -> None:
        super().__init__(
            f"{happened}, but its record (activation {identifier}) could not be stored: "
            f"{reason(error)}. If it is sent again, it runs again."
        )
        self.__cause__ = error


@dataclass(frozen=True, slots=True)
class ActivationQuery:
    """Which activations to list. Times are milliseconds since the epoch, both ends included."""

    namespace: str
    name: str | None = None
    package: str | None = None
    since: int | None = None
    upto: int | None = None
    only_errors: bool = False
    limit: int = 30
    skip: int = 0


class Activations:
    """The table of activations."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._watchers: list[Callable[[StoredActivation], None]] = []

    def watch(self, callback: Callable[[StoredActivation], None]) -> None:
        """Call a function with each activation from now on, once it is stored, in any thread."""
        self._watchers.append(callback)

    def accept(self, outcome: StoredActivation) -> None:
        """
        Store what becomes of an activation if the gateway ends before it is over.

        Do nothing if it is over.
        """
        text = _text([outcome.record, outcome.event, outcome.revision, outcome.package])
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO accepted SELECT :id, :outcome "
                "WHERE NOT EXISTS (SELECT 1 FROM activations WHERE id = :id)",
                {"id": outcome.id, "outcome": text},
            )

    def finish_accepted(self) -> int:
        """Make activations of all that were accepted and are not over; return how many."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT activation FROM accepted").fetchall()
        for (text,) in rows:
            self.add(StoredActivation(*json.loads(text)))
        return len(rows)

    def add(self, activation: StoredActivation) -> None:
        """Store an activation that is over, and tell those that watch."""
        record = dict(activation.record)
        logs = record.pop("logs")
        row = (
            activation.id, record["namespace"], activation.package, record["name"],
            record["start"], record["duration"], record["response"]["statusCode"],
            activation.annotation("waitTime") or 0, activation.annotation("initTime"),
            activation.revision, record.get("cause"),
            _text(record), _text(logs), _text(activation.event),
        )  # fmt: skip
        with self._database.writing(record["namespace"]) as connection:
            connection.execute(f"INSERT INTO activations VALUES ({', '.join('?' * len(row))})", row)
            connection.execute("DELETE FROM accepted WHERE id = ?", (activation.id,))
        for callback in self._watchers:
            callback(activation)

    def get(self, namespace: str, identifier: str) -> StoredActivation | None:
        """Return an activation of a namespace."""
        with self._database.reading() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM activations WHERE id = ? AND namespace = ?",
                (identifier, namespace),
            ).fetchone()
        return _activation(row) if row else None

    def list(self, query: ActivationQuery) -> list[StoredActivation]:
        """Return activations, the newest first."""
        clause, values = _where(query)
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM activations {clause} "
                "ORDER BY start DESC, rowid DESC LIMIT ? OFFSET ?",
                (*values, query.limit, query.skip),
            ).fetchall()
        return [_activation(row) for row in rows]

    def count(self, query: ActivationQuery) -> int:
        """Return how many activations there are."""
        clause, values = _where(query)
        with self._database.reading() as connection:
            row = connection.execute(
                f"SELECT count(*) FROM activations {clause}", values
            ).fetchone()
        number: int = row[0]
        return number

    def prune(self, most: int, seconds: float | None) -> int:
        """
        Remove activations that are too old or too many, the oldest first; return how many.

        Without ``seconds``, none is too old.
        """
        oldest = 0 if seconds is None else int((time.time() - seconds) * 1000)
        with self._database.writing() as connection:
            old = connection.execute("DELETE FROM activations WHERE start < ?", (oldest,)).rowcount
            more = connection.execute(
                "DELETE FROM activations WHERE rowid IN "
                "(SELECT rowid FROM activations ORDER BY start DESC LIMIT -1 OFFSET ?)",
                (most,),
            ).rowcount
        return old + more


def _where(query: ActivationQuery) -> tuple[str, Sequence[object]]:
    conditions: list[tuple[str, object]] = [("namespace = ?", query.namespace)]
    for column, value in (
        ("name = ?", query.name),
        ("package = ?", query.package),
        ("start >= ?", query.since),
        ("start <= ?", query.upto),
        ("status >= ?", 1 if query.only_errors else None),
    ):
        if value is not None:
            conditions.append((column, value))
    clause = " AND ".join(text for text, _ in conditions)
    return f"WHERE {clause}", [value for _, value in conditions]


def _activation(row: sqlite3.Row | tuple[Any, ...]) -> StoredActivation:
    document, logs, event, revision, package = row
    record = json.loads(document)
    record["logs"] = json.loads(logs)
    return StoredActivation(record, json.loads(event), revision, package)


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
