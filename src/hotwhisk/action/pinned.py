"""
Import the sources of a version from its snapshot, under their own paths.

Modules have their true ``__file__``. So tracebacks, debuggers and files beside the modules are the
same as for ``python hello.py``. Only the content of the modules is that of the version, even if the
files on the disk have changed. Extension modules, and modules that are not in the snapshot, are
found on the disk. The version of a module that is served by its name is found as ``python -m``
finds it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import types
from collections.abc import Sequence
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
    SourcelessFileLoader,
)
from importlib.util import spec_from_file_location

from hotwhisk.artifact import snapshot
from hotwhisk.errors import BuildFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.artifact.snapshot import Snapshot

Sources = dict[str, bytes]
"""The content of each source by its absolute path."""


class _Installed:
    """Holds the sources that this process imports from. They are set once."""

    sources: Sources = {}  # noqa: RUF012 - it is replaced and never shared


def names_in(folder: str) -> set[str]:
    """Return the names of the modules and packages that a snapshot has in a folder."""
    found = set()
    for path in _Installed.sources:
        if path.startswith(f"{folder}/"):
            name, slash, _ = path[len(folder) + 1 :].partition("/")
            if not slash:
                found.add(name.removesuffix(".py"))
            elif f"{folder}/{name}/__init__.py" in _Installed.sources:
                found.add(name)
    return found


def install(snapshot: Snapshot) -> None:
    """Import all modules below the root of a snapshot from it, for the life of this process."""
    root, sources = snapshot.root, snapshot.paths()
    _Installed.sources = sources
    below = f"{root}/"

    def find_below(path: str) -> _Finder:
        if path != root and not path.startswith(below):
            raise ImportError
        return _Finder(path, sources, whole=snapshot.whole)

    sys.path_hooks.insert(0, find_below)
    for path in list(sys.path_importer_cache):
        if path == root or path.startswith(below):
            del sys.path_importer_cache[path]


class _Loader(SourceFileLoader):
    """Loads one module from its source in a snapshot."""

    def __init__(self, name: str, path: str, sources: Sources) -> None:
        super().__init__(name, path)
        self._sources = sources

    def get_data(self, path: str) -> bytes:
        """Return the content of a file in the version."""
        content = self._sources.get(path)
        return super().get_data(path) if content is None else content

    def get_code(self, fullname: str) -> types.CodeType | None:
        """Compile the source. Bytecode beside the source may belong to another version."""
        path = self.get_filename(fullname)
        code: types.CodeType = self.source_to_code(self.get_data(path), path)
        return code


class _Finder(FileFinder):
    """Finds the modules in one folder."""

    def __init__(self, path: str, sources: Sources, *, whole: bool) -> None:
        suffixes = [] if whole else SOURCE_SUFFIXES
        super().__init__(
            path,
            (ExtensionFileLoader, EXTENSION_SUFFIXES),
            (SourceFileLoader, suffixes),
            (SourcelessFileLoader, BYTECODE_SUFFIXES),
        )
        self._sources = sources

    def find_spec(self, fullname: str, target: types.ModuleType | None = None) -> ModuleSpec | None:
        """Find a module in the snapshot or, if the snapshot lacks it, on the disk."""
        base = f"{self.path}/{fullname.rpartition('.')[2]}"
        if f"{base}/__init__.py" in self._sources:
            return self._spec(fullname, f"{base}/__init__.py", [base])
        if f"{base}.py" in self._sources:
            return self._spec(fullname, f"{base}.py", None)
        found = super().find_spec(fullname, target)
        if found is None and any(path.startswith(f"{base}/") for path in self._sources):
            found = ModuleSpec(fullname, None, is_package=True)  # its folder is gone
            found.submodule_search_locations = [base]
        return found

    def _spec(self, name: str, path: str, folders: Sequence[str] | None) -> ModuleSpec | None:
        loader = _Loader(name, path, self._sources)
        locations = None if folders is None else list(folders)
        return spec_from_file_location(
            name, path, loader=loader, submodule_search_locations=locations
        )


def read_module(name: str) -> Snapshot:
    """Read the files of the version that a module belongs to, without importing anything."""
    top = name.partition(".")[0]
    try:
        spec = importlib.util.find_spec(top)
    except (ModuleNotFoundError, ValueError):
        spec = None
    if spec is None:
        raise _not_found(name)
    places = spec.submodule_search_locations or [spec.origin or ""]
    root = os.path.dirname(next(iter(places)))
    return snapshot.of_module(root, top, alone=os.path.basename(root) in snapshot.SKIPPED)


def find_module(name: str) -> ModuleSpec:
    """Return where a module is, and import the packages above it."""
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            name += ".__main__"
            spec = importlib.util.find_spec(name)
    except (ModuleNotFoundError, ValueError) as error:
        raise _not_found(name, f": {error}") from None
    if spec is None or not (spec.origin or "").endswith(".py"):
        raise _not_found(name)
    return spec


def _not_found(name: str, why: str = "") -> BuildFailed:
    hint = f"; expected the name of a Python source that can be imported from {os.getcwd()}"
    return BuildFailed(f"cannot find the module {name!r}{why or hint}")
