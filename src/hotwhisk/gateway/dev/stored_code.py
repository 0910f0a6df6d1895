"""
Make the code of an action as the platform would get it: a source, or a zip if there are more files.

What is served here are the files where they lie. The stored code is that of the version for later
starts, for the page and for a cluster.
"""

from __future__ import annotations

import base64
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hotwhisk.artifact.artifact import FOLDER_ENTRY
from hotwhisk.artifact.snapshot import REQUIREMENTS, Snapshot
from hotwhisk.build.advice import UNUSED
from hotwhisk.build.layout import Members, digest_of_members, zip_members
from hotwhisk.build.sources import read_folder
from hotwhisk.errors import BuildFailed
from hotwhisk.gateway.dev.project import Source
from hotwhisk.sizes import MOST_CODE, code_size, show_excess, show_size

_FILE: Final = stat.S_IFREG | 0o644


@dataclass(frozen=True, slots=True)
class Code:
    """
    The code of a version: a source, or a zip in base64 if it is ``binary``.

    ``warning`` says which files it lacks, or is empty.
    """

    text: str
    binary: bool
    warning: str = ""


@dataclass(frozen=True, slots=True)
class _Data:
    """A zip of the files of a folder that are no sources. It is empty if it alone is too large."""

    digest: str
    packed: bytes
    size: int


class PlatformCode:
    """
    Makes the code of each action of a project. An action has one thread at a time.

    The files that are no sources change seldom and may be large, so their zip is kept.
    """

    def __init__(self) -> None:
        self._data: dict[str, _Data] = {}

    def make(self, source: Source, kept: Snapshot) -> Code:
        """
        Return the code for the sources of an action, and for what lies beside them in its folder.

        Raises:
            UsageError: a file cannot be read, or cannot be in an archive.
            BuildFailed: the sources alone are larger than the platform takes.
        """
        if source.entry != source.path:
            return self._of_folder(source, kept)
        files = dict(kept.files)
        with_requirements = os.path.join(kept.root, REQUIREMENTS)
        if os.path.isfile(with_requirements):
            with open(with_requirements, "rb") as file:
                files[REQUIREMENTS] = file.read()
        if len(files) == 1:
            try:
                return _checked(source, files[kept.entry].decode("utf-8-sig"), binary=False)
            except UnicodeDecodeError:  # the source says in which other encoding it is
                pass
        files[FOLDER_ENTRY] = files.pop(kept.entry)
        return _archive(source, {name: (_FILE, content) for name, content in files.items()})

    def _of_folder(self, source: Source, kept: Snapshot) -> Code:
        """Return the code of a folder: all its files, or its sources only if all are too large."""
        read = read_folder(Path(source.path), follow=True)
        read[FOLDER_ENTRY] = (_FILE, kept.files[kept.entry])
        members = {name: each for name, each in read.items() if UNUSED.isdisjoint(name.split("/"))}
        sources = {name: each for name, each in members.items() if _is_source(name)}
        rest = {name: each for name, each in members.items() if not _is_source(name)}
        data = self._zip_of_data(source, rest)
        size = data.size
        if data.packed or not rest:
            packed = zip_members(sources, data.packed)
            size = code_size(packed)
            if size <= MOST_CODE:
                return Code(base64.b64encode(packed).decode(), binary=True)
        return _archive(source, sources, _too_large(source, size, rest))

    def _zip_of_data(self, source: Source, members: Members) -> _Data:
        """Return the files that are no sources as a zip, which is made anew only if they differ."""
        digest = digest_of_members(members)
        data = self._data.get(source.path)
        if data is None or data.digest != digest:
            packed = zip_members(members) if members else b""
            size = code_size(packed)
            data = _Data(digest, packed if size <= MOST_CODE else b"", size)
            self._data[source.path] = data
        return data


def _is_source(name: str) -> bool:
    return name.endswith(".py") or name == REQUIREMENTS


def _too_large(source: Source, size: int, data: Members) -> str:
    """Return the warning that a version is stored without its data."""
    has, limit = show_excess(size, MOST_CODE)
    text = (
        f"{source.shown} has {has} as it would be posted (a zip in base64), more than the {limit} "
        f"that the platform takes: it runs here, but its stored versions have its .py files and "
        f"{REQUIREMENTS} only"
    )
    if data:
        largest = max(data, key=lambda name: len(data[name][1]))
        text += f"; the largest of the others is {largest}, with {show_size(len(data[largest][1]))}"
    return text


def _archive(source: Source, members: Members, warning: str = "") -> Code:
    text = base64.b64encode(zip_members(members)).decode()
    return _checked(source, text, binary=True, warning=warning)


def _checked(source: Source, text: str, *, binary: bool, warning: str = "") -> Code:
    size = code_size(text)
    if size > MOST_CODE:
        has, limit = show_excess(size, MOST_CODE)
        raise BuildFailed(
            f"the sources of {source.shown} have {has} as they are posted, and the platform takes "
            f"{limit}; put data into files that are no sources, in a folder with {FOLDER_ENTRY}"
        )
    return Code(text, binary, warning)
