"""Keep over starts which actions a project has deployed: the next start removes what is gone."""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress


class DeployedNames:
    """
    The names of the actions that ``project`` has deployed, in a file. Any thread may use it.

    The folder of data may also hold actions that a client has made, and those of another project.
    """

    def __init__(self, file: str, project: str) -> None:
        self._file = file
        self._project = project
        self._lock = threading.Lock()
        self._names = set(_read(file).get(project, ()))

    def all(self) -> frozenset[str]:
        """Return the names."""
        with self._lock:
            return frozenset(self._names)

    def add(self, name: str) -> None:
        """Note that an action was deployed."""
        with self._lock:
            if name not in self._names:
                self._names.add(name)
                self._write()

    def remove(self, name: str) -> None:
        """Note that an action was removed."""
        with self._lock:
            if name in self._names:
                self._names.remove(name)
                self._write()

    def _write(self) -> None:
        fresh = f"{self._file}.new"
        with suppress(OSError):  # then an action that is gone may stay, which harms little
            with open(fresh, "w", encoding="utf-8") as file:
                json.dump({**_read(self._file), self._project: sorted(self._names)}, file)
            os.replace(fresh, self._file)


def _read(file: str) -> dict[str, list[str]]:
    """Return the names by project; none if the file is missing or damaged."""
    try:
        with open(file, encoding="utf-8") as opened:
            found = json.load(opened)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
