"""
Turn a history into the text of its file in the state folder, and back.

Pure. The text is JSON, one version a line, so that an operator can read it. An action could have
written to the file, so each value is checked. The names of other files come from numbers only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hotwhisk import json_codec
from hotwhisk.supervisor.commands import Origin
from hotwhisk.supervisor.history import MOST_LISTED, Content, Version

FORMAT = 1
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_FIELDS = {
    "number": int, "digest": str, "at": (int, float), "rollback_of": int,
    "content": int, "size": int, "path": str, "module": bool, "main": str,
}  # fmt: skip
_LARGEST = 1 << 53
"""More than any number in a history."""


class LaterFormat(ValueError):
    """The text was written by a later hotwhisk, whose format this one does not know."""


def write(versions: Sequence[Version]) -> bytes:
    """Return the text of a history."""
    rows = [json_codec.dumps(_row(each)).decode() for each in versions]
    head = f'{{"hotwhisk_history": {FORMAT}, "versions": ['
    return (head + ",".join(f"\n{row}" for row in rows) + "\n]}\n").encode()


def read(text: bytes) -> list[Version]:
    """
    Return the versions in a text, the oldest first.

    Raises:
        LaterFormat: a later hotwhisk wrote the text.
        ValueError: the text is not a history; the error says why.
    """
    try:
        document = json_codec.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if type(document) is not dict or type(document.get("hotwhisk_history")) is not int:
        raise ValueError("it has no hotwhisk_history")
    if document["hotwhisk_history"] > FORMAT:
        raise LaterFormat("it was written by a later hotwhisk")
    rows = document.get("versions")
    if type(rows) is not list or len(rows) > MOST_LISTED:
        raise ValueError(f"versions is not a list of at most {MOST_LISTED}")
    versions: list[Version] = []
    contents: dict[int, Content] = {}
    for row in rows:
        version = _version(row, contents)
        if versions and version.number <= versions[-1].number:
            raise ValueError("the numbers do not grow")
        versions.append(version)
    return versions


def _row(version: Version) -> dict[str, object]:
    content = version.content
    origin = content.origin
    return {
        "number": version.number,
        "digest": version.digest,
        "at": round(version.at, 3),
        "rollback_of": version.rollback_of,
        "content": content.number,
        "size": content.size,
        "path": origin.path,
        "module": origin.module,
        "main": origin.main,
    }


def _version(row: object, contents: dict[int, Content]) -> Version:
    """Return the version in a row; versions of one content share the one in ``contents``."""
    if type(row) is not dict:
        raise ValueError("a version is not an object")
    for name, kind in _FIELDS.items():
        value = row.get(name)
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if type(value) not in kinds:
            raise ValueError(f"{name} of a version is missing, or of a wrong type")
        if isinstance(value, int | float) and not 0 <= value < _LARGEST:
            raise ValueError(f"{name} of a version is out of range")
    if not _DIGEST.fullmatch(row["digest"]) or not 1 <= row["content"] <= row["number"]:
        raise ValueError("the digest or the content of a version is wrong")
    if "\0" in row["path"]:
        raise ValueError("the path of a version is wrong")
    origin = Origin(row["path"], row["module"], row["main"])
    number: int = row["content"]
    content = contents.setdefault(number, Content(number, origin, row["size"]))
    return Version(row["number"], row["digest"], float(row["at"]), content, row["rollback_of"])
