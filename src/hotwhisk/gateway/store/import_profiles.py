"""Store how long the imports of a version take: they are measured only when a user asks for it."""

from __future__ import annotations

import json
from typing import Any

from hotwhisk.gateway.store.database import Database


class ImportProfiles:
    """The table of import profiles, by the digest of the code and the name of the handler."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, digest: str, main: str, document: object) -> None:
        """Store a profile, in place of an earlier one. Nothing is stored if the code is gone."""
        with self._database.writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO import_profiles "
                "SELECT digest, ?, ? FROM codes WHERE digest = ?",
                (main, json.dumps(document), digest),
            )

    def get(self, digest: str, main: str) -> Any:
        """Return a profile, or None if there is none."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT document FROM import_profiles WHERE digest = ? AND main = ?",
                (digest, main),
            ).fetchone()
        return json.loads(row[0]) if row else None
