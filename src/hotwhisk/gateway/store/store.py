"""The database with its tables."""

from __future__ import annotations

from collections.abc import Callable

from hotwhisk.gateway.store.actions import Actions
from hotwhisk.gateway.store.activations import Activations
from hotwhisk.gateway.store.database import Database
from hotwhisk.gateway.store.entities import Entities
from hotwhisk.gateway.store.import_profiles import ImportProfiles
from hotwhisk.gateway.store.namespaces import Namespaces
from hotwhisk.gateway.store.statistics import Statistics


class Store:
    """
    Everything that outlives the gateway. Any thread may use it.

    ``changed`` is called with the name of a namespace when something of it is written.
    """

    def __init__(self, path: str, changed: Callable[[str], None] = lambda _: None) -> None:
        self.database = Database(path, changed)
        self.namespaces = Namespaces(self.database)
        self.actions = Actions(self.database)
        self.packages = Entities(self.database, "package")
        self.triggers = Entities(self.database, "trigger")
        self.rules = Entities(self.database, "rule")
        self.activations = Activations(self.database)
        self.import_profiles = ImportProfiles(self.database)
        self.statistics = Statistics(self.database)

    def close(self) -> None:
        """Close the database."""
        self.database.close()
