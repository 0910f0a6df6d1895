"""
Find the actions of a project.

A project is a file, a folder with ``__main__.py``, or a folder ``packages/`` as DigitalOcean and
OpenServerless lay out projects: ``packages/PACKAGE/ACTION.py`` and ``packages/PACKAGE/ACTION/``
with ``__main__.py``. Actions that lie in ``packages/`` or in ``packages/default/`` are in the
default package.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hotwhisk.artifact.artifact import FOLDER_ENTRY
from hotwhisk.artifact.snapshot import SKIPPED
from hotwhisk.config.suggestions import nearest_file
from hotwhisk.errors import UsageError
from hotwhisk.gateway.names import is_name, joined

PACKAGES: Final = "packages"
DEFAULT_PACKAGE: Final = "default"
_SOURCE: Final = ".py"
_EXPECTED: Final = (
    f"expected a .py file, a folder with {FOLDER_ENTRY}, or a folder with "
    f"{PACKAGES}/PACKAGE/ACTION.py or {PACKAGES}/PACKAGE/ACTION/{FOLDER_ENTRY}"
)


@dataclass(frozen=True, slots=True)
class Source:
    """
    Where an action lies.

    ``package`` is empty for the default package. ``path`` is a file or a folder.
    """

    package: str
    name: str
    path: str

    @property
    def shown(self) -> str:
        """The name of the action with its package."""
        return joined(self.package, self.name)

    @property
    def entry(self) -> str:
        """The file that holds the handler."""
        return f"{self.path}/{FOLDER_ENTRY}" if os.path.isdir(self.path) else self.path


@dataclass(frozen=True, slots=True)
class Project:
    """
    A path that ``hotwhisk dev`` was given, as an absolute path without links.

    It stays what it was at the start: ``is_single`` says whether the path is one action, though its
    entry may be gone in the middle of a save.
    """

    path: str
    is_single: bool

    @property
    def root(self) -> str:
        """The folder that holds everything that belongs to the project."""
        return self.path if os.path.isdir(self.path) else os.path.dirname(self.path)

    def sources(self) -> list[Source]:
        """Return the actions that there are now, in the order of their names, which differ."""
        found: dict[str, Source] = {}
        for source in self.all_sources():
            if not name_problem(source):
                found.setdefault(source.shown, source)
        return list(found.values())

    def all_sources(self) -> list[Source]:
        """Return also those that are not served: for their name, or as an earlier one has it."""
        if not self.is_single:
            found = _packaged(f"{self.path}/{PACKAGES}")
            return sorted(found, key=lambda each: (each.shown, each.path))
        return [Source("", os.path.basename(self.path).removesuffix(_SOURCE), self.path)]

    def shown(self, path: str) -> str:
        """Return the name of a file for people: from the root on, if it lies there."""
        inside = path.startswith(f"{self.root}/")
        return printable(os.path.relpath(path, self.root) if inside else path)


def open_project(path: str) -> Project:
    """
    Return the project at a path.

    Raises:
        UsageError: there is no action at the path.
    """
    real = os.path.realpath(path)
    if not os.path.exists(real):
        raise UsageError(f"{path}: {_missing(path)}; {_EXPECTED}")
    if os.path.basename(real) == FOLDER_ENTRY:
        real = os.path.dirname(real)
    if not os.path.isdir(real):
        if not real.endswith(_SOURCE):
            raise UsageError(f"{path} is not a Python source; {_EXPECTED}")
        return _checked(Project(real, is_single=True))
    project = Project(real, is_single=os.path.isfile(f"{real}/{FOLDER_ENTRY}"))
    if not project.is_single and os.path.basename(real) == PACKAGES:
        project = Project(os.path.dirname(real), is_single=False)
    if not project.all_sources():
        raise UsageError(f"{path} holds no action; {_EXPECTED}{_hint(real)}")
    return _checked(project)


def name_problem(source: Source) -> str:
    """Return what to do if the platform does not take the name of an action, or an empty text."""
    for part in source.shown.split("/"):
        if not is_name(part):
            return (
                f'"{printable(part)}" cannot name an action or a package: rename '
                f"{printable(source.path)}; expected letters, digits, _, and within the name also "
                "spaces and any of @ . & -"
            )
    return ""


def printable(text: str) -> str:
    """Return a name as it is, or with escapes if a terminal or a page could not show it."""
    return text if text.isprintable() else ascii(text)


def _checked(project: Project) -> Project:
    """Return a project that has an action, of those that it holds, whose name can be served."""
    if not project.sources():
        raise UsageError(name_problem(project.all_sources()[0]))
    return project


def _missing(path: str) -> str:
    """Return why there is nothing at a path, and which path may be meant."""
    if os.path.islink(path):
        return f"it is a link, and there is nothing at {os.readlink(path)}"
    folder, name = os.path.split(path)
    names = os.listdir(folder or ".") if os.path.isdir(folder or ".") else []
    close = nearest_file(name, names)
    hint = f"; did you mean {os.path.join(folder, close)}?" if close else ""
    return f"there is no such file or folder{hint}"


def _hint(folder: str) -> str:
    """Return what to do in a folder without an action, or in one with another layout."""
    if not any(name.endswith(_SOURCE) for name in os.listdir(folder)):
        return "; or make one: hotwhisk new NAME"
    place = os.path.join(PACKAGES, DEFAULT_PACKAGE)
    return f"; give the path of one {_SOURCE} file in it, or put those that are actions in {place}"


def _packaged(folder: str) -> Iterator[Source]:
    yield from _actions("", folder)
    for package in _folders(folder):
        place = f"{folder}/{package}"
        if not os.path.isfile(f"{place}/{FOLDER_ENTRY}"):
            yield from _actions("" if package == DEFAULT_PACKAGE else package, place)


def _actions(package: str, folder: str) -> Iterator[Source]:
    for name in _names(folder):
        path = f"{folder}/{name}"
        if name.endswith(_SOURCE) and name != FOLDER_ENTRY and os.path.isfile(path):
            yield Source(package, name.removesuffix(_SOURCE), path)
        elif os.path.isfile(f"{path}/{FOLDER_ENTRY}"):
            yield Source(package, name, path)


def _folders(folder: str) -> list[str]:
    return [name for name in _names(folder) if os.path.isdir(f"{folder}/{name}")]


def _names(folder: str) -> list[str]:
    """Return the names in a folder that may be actions or packages; none if it is away."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [name for name in names if name[0] not in "._" and name not in SKIPPED]
