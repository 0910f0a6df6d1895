"""Read the code of an action as people want to see it: a text, or the files of an archive."""

from __future__ import annotations

import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hotwhisk.artifact.archive import damage_errors
from hotwhisk.artifact.artifact import FOLDER_ENTRY, PROGRAM, SOURCE_ENTRY
from hotwhisk.artifact.built import CODE_FOLDER, PACKAGES_FOLDER
from hotwhisk.artifact.kinds import Kind, detect
from hotwhisk.artifact.members import PYTHON_ENTRIES, Member, list_members, read_member
from hotwhisk.errors import BuildFailed
from hotwhisk.platform.action import is_base64

MOST_SHOWN: Final = 200_000
"""A longer text is cut, in characters."""

_ENTRIES: Final = (*PYTHON_ENTRIES, PROGRAM)


@dataclass(frozen=True, slots=True)
class StoredCode:
    """
    The code of an action.

    ``files`` are those of an archive without its libraries, which are counted. ``main`` is the file
    that is run, and ``text`` its content; None for a program.
    """

    kind: Kind
    size: int
    main: str
    text: str | None
    files: tuple[Member, ...] = ()
    libraries: int = 0


def content_of(code: str) -> bytes:
    """Return the bytes of stored code."""
    if is_base64(code):
        return binascii.a2b_base64(code)
    return code.encode("utf-8", "surrogatepass")


def read_source(code: str) -> StoredCode:
    """Return stored code for people."""
    content = content_of(code)
    kind = detect(content)
    if kind is Kind.SOURCE:
        return StoredCode(kind, len(content), SOURCE_ENTRY, _text(content))
    try:
        files = list_members(content)
    except damage_errors(BuildFailed):
        return StoredCode(kind, len(content), "", None)
    own = tuple(each for each in files if not each.name.startswith(f"{PACKAGES_FOLDER}/"))
    names = {each.name for each in own}
    main = next((name for name in _ENTRIES if name in names), "")
    text = file_text(code, main) if main else None
    return StoredCode(kind, len(content), main, text, own, len(files) - len(own))


def file_text(code: str, path: str) -> str | None:
    """
    Return the file of stored code that has a path on the disk of a server, or None.

    It is the one with the longest name with which the path ends. A source is the only file, and may
    have any name. So may the file that is run: ``hotwhisk dev`` serves it where it lies.
    """
    content = content_of(code)
    if detect(content) is Kind.SOURCE:
        return _text(content)
    try:
        names = _paths(each.name for each in list_members(content))
        ends = [name for name in names if f"/{path}".endswith(f"/{name}")]
        if not ends and path.startswith("/"):
            ends = [name for name in _ENTRIES if name in names]
        found = read_member(content, names[max(ends, key=len)], MOST_SHOWN * 4) if ends else None
    except damage_errors(BuildFailed):
        return None
    return None if found is None else _text(found)


def _paths(names: Iterable[str]) -> dict[str, str]:
    """Return the members of an archive by their paths in the folder in which a server runs them."""
    paths = {name.removeprefix(f"{CODE_FOLDER}/"): name for name in names}
    if FOLDER_ENTRY in paths:
        paths.setdefault(SOURCE_ENTRY, paths[FOLDER_ENTRY])
    return paths


def _text(content: bytes) -> str | None:
    """Return a text, or None for bytes that are not one."""
    if b"\0" in content[:1000]:
        return None
    return content.decode("utf-8", "replace")[:MOST_SHOWN]
