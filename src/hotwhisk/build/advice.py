"""
Tell the maker of an artifact which sources are left out, questionable or missing.

Nothing in this module changes what is packed.
"""

from __future__ import annotations

import ast
import os
import re
import sys
import warnings
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from hotwhisk.build.sources import is_left_out
from hotwhisk.errors import BuildFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hotwhisk.build.layout import Members

MOST_NAMED = 6
UNTOLD: Final = ("__pycache__", ".pyc", ".DS_Store")
"""The names that are left out of every artifact without a note."""

PRIVATE: Final = re.compile(
    r"\.env(\..*)?|\.netrc|\.npmrc|\.pypirc|\.htpasswd|id_(rsa|dsa|ecdsa|ed25519)|\.aws|\.ssh"
    r"|.*\.(pem|key|p12|pfx|jks|kdbx)|(credentials|secrets?)(\.(json|ya?ml|toml|ini|env))?"
)
"""Names of files and folders that usually hold passwords and keys."""

UNUSED: Final = frozenset({"node_modules", "bower_components", ".terraform", ".nox", ".eggs"})
"""Folders of other tools, which are large and of no use to a Python action."""


def left_out(folder: Path) -> Iterator[str]:
    """Return the files and folders below a folder that are not packed."""
    for top, folders, files in os.walk(folder):
        below = os.path.relpath(top, folder)
        for name in sorted(folders + files):
            if is_left_out(name) and not name.endswith(UNTOLD):
                yield os.path.normpath(f"{below}/{name}")
        folders[:] = [name for name in folders if not is_left_out(name)]


def questionable(members: Iterable[str]) -> Iterator[str]:
    """Return the packed members that look private or seem to belong to another tool."""
    seen: set[str] = set()
    for member in members:
        parts = PurePosixPath(member).parts
        for depth, part in enumerate(parts, 1):
            if PRIVATE.fullmatch(part) or part in UNUSED:
                seen.add("/".join(parts[:depth]))
                break
    yield from sorted(seen)


def notes(folder: Path, members: Iterable[str]) -> list[str]:
    """Return the notes about a folder that is packed, as lines."""
    lines = []
    if names := _listed(left_out(folder)):
        lines.append(f"left out: {names}")
    if names := _listed(questionable(members)):
        lines.append(
            f"packed, though it looks private or unused: {names}; "
            "move it out of the folder unless the action reads it"
        )
    return lines


def refuse_lone_file(source: Path, content: bytes) -> list[str]:
    """
    Refuse a single file that imports a module beside it, because that module is not built with it.

    If the file imports a module only in a function, or goes on without the module, return a note.

    Raises:
        BuildFailed: the file needs such modules. The text names them and says what to do.
    """
    tree = _parse(content)
    needed = [name for name in _imported(tree.body) if _lies_beside(source, name)]
    text = (
        "{names}, beside it, and a single file is built alone; make a folder of them, with the "
        f"handler in __main__.py: mkdir app && cp {source.name} app/__main__.py && "
        "cp -r {files} app/ && hotwhisk build app"
    )
    if needed:
        raise BuildFailed(f"{source.name} imports {_filled(text, source, needed)}")
    nested = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    perhaps = [name for name in _imported(nested) if _lies_beside(source, name)]
    return [f"{source.name} may import {_filled(text, source, perhaps)}"] if perhaps else []


def undeclared(entry: Path, members: Members, packages: Members) -> list[str]:
    """
    Return a note if the file ``entry`` always imports modules that are not packed.

    ``members`` are the sources and ``packages`` the libraries, by their path below the folder
    ``site-packages``.
    """
    packed = {_top_module(name) for name in (*members, *packages)}
    packed |= {_top_module(name.partition("/site-packages/")[2]) for name in members}
    packed |= {*sys.stdlib_module_names, "hotwhisk"}
    missing = _listed(
        name for name in _imported(_parse(entry.read_bytes()).body) if name not in packed
    )
    if not missing:
        return []
    text = (
        f"{entry.name} imports {missing}, which nothing declares, so it is not packed; declare it "
        "in a header # /// script of the source, or in requirements.txt beside it, unless the "
        "server has it"
    )
    return [text]


def _top_module(member: str) -> str:
    """Return the top-level module that a path belongs to."""
    return member.partition("/")[0].partition(".")[0]


def _parse(content: bytes) -> ast.Module:
    """Return the tree of a source; an empty one if the source is for a newer Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(content)
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def _filled(text: str, source: Path, names: list[str]) -> str:
    files = [f"{name}.py" if (source.parent / f"{name}.py").is_file() else name for name in names]
    return text.format(names=", ".join(names), files=" ".join(files))


def _imported(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Return the top names of the modules that these statements import, each once."""
    names: dict[str, None] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0]: None for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names[node.module.partition(".")[0]] = None
    yield from names


def _lies_beside(source: Path, name: str) -> bool:
    """Return whether Python, run on the file where it lies, would import a module beside it."""
    folder = source.parent
    beside = (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()
    return beside and name not in ("hotwhisk", source.stem)


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return ", ".join(found[:MOST_NAMED]) + more
