"""The database with its tables."""

from __future__ import annotations

from hotwhisk.gateway.store.actions import Actions
from hotwhisk.gateway.store.activations import Activations
from hotwhisk.gateway.store.database import Database
from hotwhisk.gateway.store.entities import Entities
from hotwhisk.gateway.store.namespaces import Namespaces


class Store:
    """Everything that outlives the gateway. Any thread may use it."""

    def __init__(self, path: str) -> None:
        self.database = Database(path)
        self.namespaces = Namespaces(self.database)
        self.actions = Actions(self.database)
        self.packages = Entities(self.database, "package")
        self.triggers = Entities(self.database, "trigger")
        self.rules = Entities(self.database, "rule")
        self.activations = Activations(self.database)

    def close(self) -> None:
        """Close the database."""
        self.database.close()
