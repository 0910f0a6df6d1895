"""Find a module by its name, as ``python -m`` does."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING

from hotwhisk.artifact import snapshot
from hotwhisk.errors import BuildFailed

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

    from hotwhisk.artifact.snapshot import Snapshot


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
