"""Read and check the action's own files before anything is written."""

from __future__ import annotations

import ast
import os
import re
import stat
import warnings
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from hotwhisk.action.entry_point import enters_by_start
from hotwhisk.artifact.archive import LEAVING_LINKS, MOST_DEPTH
from hotwhisk.artifact.artifact import FOLDER_ENTRY
from hotwhisk.artifact.kinds import BINARY_STARTS
from hotwhisk.build.layout import Members
from hotwhisk.errors import BuildFailed, UsageError

if TYPE_CHECKING:
    from hotwhisk.build.bytecode import Broken

LEFT_OUT: Final = frozenset(
    {"__pycache__", ".git", ".hg", ".svn", ".venv", "venv", ".idea", ".vscode", ".DS_Store"}
    | {".pytest_cache", ".mypy_cache", ".ruff_cache", ".tox", ".hypothesis"}
)
_LEFT_OUT_ENDS: Final = (".pyc", "~", ".orig", ".rej")
_EDITORS: Final = re.compile(r"\.#.*|#.*#|\..*\.sw[a-p]|.*\.sw[op]")
"""Matches locks and automatic saves of Emacs, and swap files of vim."""

_LEAVING: Final = f"{LEAVING_LINKS}/"
_DYNAMIC: Final = frozenset({"exec", "globals", "locals", "vars", "setattr", "__import__"})


def read_source(source: Path, output: Path) -> tuple[Members, str]:
    """
    Return the action's files, and the name of the one to run.

    Raises:
        UsageError: the source is neither a Python source nor a folder with an entry.
    """
    entry = source if source.is_file() else source / FOLDER_ENTRY
    if output.exists() and entry.exists() and output.samefile(entry):
        raise UsageError(f"{output} is the source itself; give -o another name")
    if source.is_file():
        content = _content(source)
        if content.startswith(BINARY_STARTS) or b"\0" in content:
            raise UsageError(
                f"{source} is not text: expected a .py file, or a folder with {FOLDER_ENTRY}"
            )
        return {source.name: (stat.S_IFREG | 0o644, content)}, source.name
    if not entry.is_file():
        raise UsageError(
            f"{source} cannot be built: expected a .py file, or a folder with {FOLDER_ENTRY}"
        )
    return read_folder(source, output.resolve()), FOLDER_ENTRY


def is_left_out(name: str) -> bool:
    """Return whether a file or folder of that name does not belong in an artifact."""
    return name in LEFT_OUT or name.endswith(_LEFT_OUT_ENDS) or _EDITORS.fullmatch(name) is not None


def refuse_broken(source: Path, entry: str, broken: dict[str, Broken]) -> None:
    """
    Refuse a source that does not compile, if it can be imported.

    Raises:
        BuildFailed: which source, the line, and why.
    """
    for name, why in sorted(broken.items()):
        parts = PurePosixPath(name).with_suffix("").parts
        if name == entry or all(part.isidentifier() for part in parts):
            path = source if source.is_file() else source / name
            hint = "" if name.endswith(".py") else "; expected a .py file, or a folder"
            raise BuildFailed(f"{path} is not valid Python: {why}{hint}")


def check_handler(source: Path, content: bytes, main: str) -> None:
    """
    Refuse a source that has no such handler, as far as its text shows.

    Raises:
        BuildFailed: what it has instead.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(content)
    except (SyntaxError, ValueError):  # for a newer Python, whose own compiler has checked it
        return
    if enters_by_start(tree, main):
        return
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            if node.id in _DYNAMIC:
                return
            names.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    if main in names or "*" in names:
        return
    functions = [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name[0] != "_"
    ]
    has = f"it has {', '.join(functions)}: --main {functions[0]}" if functions else "it has none"
    hint = "" if source.suffix == ".py" else "; expected a .py file, or a folder"
    raise BuildFailed(f"{source} has no function {main!r}; {has}{hint}")


def read_folder(folder: Path, output: Path | None = None, *, follow: bool = False) -> Members:
    """
    Return all files and links below a folder, without caches, editors' files and the output.

    A link that leads outside the folder is refused. With ``follow``, the file there is taken
    instead.

    Raises:
        UsageError: a link leads outside, or something cannot be read.
    """
    members: Members = {}
    root = folder.resolve()
    for top, folders, files in os.walk(root, onerror=_refuse_unread):
        if top.count("/") - str(root).count("/") > MOST_DEPTH:
            raise UsageError(
                f"{folder} holds more than {MOST_DEPTH} folders in each other, which is the limit; "
                f"the first of them is {os.path.relpath(top, root).partition('/')[0]}"
            )
        folders[:] = sorted(name for name in folders if not is_left_out(name))
        for name in sorted(files + [n for n in folders if os.path.islink(f"{top}/{n}")]):
            path = Path(top, name)
            if is_left_out(name) or path == output:
                continue
            member = path.relative_to(root).as_posix()
            if path.is_symlink() and (_stays(path, root) or member.startswith(_LEAVING)):
                members[member] = (stat.S_IFLNK | 0o777, os.fsencode(path.readlink()))
            elif path.is_symlink() and not (follow and path.is_file()):
                raise UsageError(
                    f"the link {member} leads out of {folder}, or to what is left out: it would "
                    "lead nowhere; replace it by a copy"
                )
            elif path.is_file():
                mode = 0o755 if path.stat().st_mode & 0o111 else 0o644
                members[member] = (stat.S_IFREG | mode, _content(path))
    return members


def _stays(link: Path, root: Path) -> bool:
    """
    Return whether a link leads to something in the same folder, wherever the folder lies.

    On its way the link must not leave the folder, nor pass files that are left out.
    """
    place = str(link.parent)
    for part in link.readlink().parts:
        place = os.path.realpath(os.path.join(place, part))
        inside = Path(place)
        if not inside.is_relative_to(root) or any(map(is_left_out, inside.relative_to(root).parts)):
            return False
    return True


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def _refuse_unread(error: OSError) -> None:
    raise UsageError(f"{error.filename} cannot be read: {error.strerror}")
