"""
Find the dependencies that an action declares.

They are looked for in this order, and only the first that is found is used: a header in the source
itself (PEP 723), ``pylock.toml`` (PEP 751), ``uv.lock``, ``requirements.txt``, ``pyproject.toml``.
A lock comes before the file it was made from.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from hotwhisk.artifact.artifact import FOLDER_ENTRY
from hotwhisk.errors import UsageError

_HEADER: Final = re.compile(r"(?m)^# /// script$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
"""Matches the header that PEP 723 defines."""


class Form(StrEnum):
    """The files that can be read."""

    SCRIPT = "a header in the source"
    PYLOCK = "pylock.toml"
    UV_LOCK = "uv.lock"
    REQUIREMENTS = "requirements.txt"
    PYPROJECT = "pyproject.toml"


@dataclass(frozen=True, slots=True)
class Requirements:
    """A file with dependencies; ``python`` is the Python version that it requires, or empty."""

    form: Form
    path: Path
    python: str = ""


def find(source: Path) -> Requirements | None:
    """Return the dependencies of a source file or folder, stated in it or beside it."""
    folder, entry = (source, source / FOLDER_ENTRY) if source.is_dir() else (source.parent, source)
    if entry.is_file() and (found := _of_script(entry)):
        return found
    for form in (Form.PYLOCK, Form.UV_LOCK, Form.REQUIREMENTS, Form.PYPROJECT):
        path = folder / form.value
        if path.is_file():
            found = _read(form, path)
            if form is not Form.PYPROJECT or _project(path).get("dependencies"):
                return found
    return None


def named(path: Path) -> Requirements:
    """
    Return a file that was given on the command line; its name says the form.

    Raises:
        UsageError: the form is unknown.
    """
    if not path.is_file():
        raise UsageError(f"--requirements {path}: there is no such file")
    if path.suffix == ".py":
        found = _of_script(path)
        if found is None:
            raise UsageError(f"--requirements {path}: it has no header # /// script (PEP 723)")
        return found
    if path.name == "uv.lock":
        return _read(Form.UV_LOCK, path)
    if path.name == "pyproject.toml":
        return _read(Form.PYPROJECT, path)
    if path.name.startswith("pylock.") and path.suffix == ".toml":
        return _read(Form.PYLOCK, path)
    if path.suffix == ".toml":
        raise UsageError(f"--requirements {path}: expected pylock.toml or pyproject.toml")
    return _read(Form.REQUIREMENTS, path)


def header(source: str) -> str:
    """Return the header ``# /// script`` of a source, or an empty text."""
    found = _HEADER.search(source.replace("\r\n", "\n"))
    return found[0] if found else ""


def _read(form: Form, path: Path) -> Requirements:
    if form is Form.PYPROJECT:
        project = _project(path)
        if "dependencies" in project.get("dynamic", ()):
            raise UsageError(
                f"{path}: its dependencies are dynamic, and to know them it would have to be built;"
                " write them down in [project], or lock them: uv lock"
            )
        return Requirements(form, path, str(project.get("requires-python", "")))
    if form is Form.PYLOCK or form is Form.UV_LOCK:
        return Requirements(form, path, str(_toml(path).get("requires-python", "")))
    return Requirements(form, path)


def _of_script(path: Path) -> Requirements | None:
    try:
        content = path.read_bytes()
    except OSError:  # the check of the source reports it
        return None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        if re.search(rb"(?m)^# /// script\s*$", content):
            raise UsageError(
                f"{path}: its header # /// script cannot be read: the file is not in UTF-8"
            ) from None
        return None
    headers = list(_HEADER.finditer(text.replace("\r\n", "\n")))
    if not headers:
        return None
    if len(headers) > 1:
        raise UsageError(f"{path} has more than one header # /// script (PEP 723)")
    lines = (line[2:] for line in headers[0]["content"].splitlines())
    try:
        stated = tomllib.loads("\n".join(lines))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: its header # /// script cannot be read: {error}") from None
    if "dependencies" not in stated:
        return None
    return Requirements(Form.SCRIPT, path, str(stated.get("requires-python", "")))


def _project(path: Path) -> dict[str, Any]:
    found = _toml(path).get("project", {})
    return found if isinstance(found, dict) else {}


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
