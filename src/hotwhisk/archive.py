"""
Zip and tar.gz members, guarded, written below one folder.

An archive is input from outside. What its reader promises (name, size, kind) is checked
member by member before anything of it is written, and the whole is written into a folder
that is thrown away if a check fails. Two rules keep every write inside the folder: no
member may lie below one that is not a folder, and links are made after all files are
written. Where the links lead is asked of the file system at the end, since links through
links cannot be judged by their text.

Not ``extractall``: for zip it loses modes and symbolic links, which actions with a
``virtualenv/`` need.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, cast

from hotwhisk.errors import BuildFailed

MOST_MEMBERS: Final = 50_000
MOST_BYTES: Final = 1 << 30
"""Of all files together, unpacked."""
MOST_RATIO: Final = 200
"""Unpacked to packed, for what unpacks to more than `FREE_BYTES`."""
FREE_BYTES: Final = 16 << 20

LEAVING_LINKS: Final = "virtualenv"
"""
Links below this folder may lead outside: a virtual environment has one to the Python it
was made for, and nothing is ever written through a link.
"""

DAMAGE: Final = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
    OverflowError,
    LookupError,
)
"""What the readers of the standard library raise for a damaged or encrypted archive."""


class Writer:
    """
    Admits members one by one, and writes those it admitted below ``folder``.
    """

    def __init__(self, folder: Path, packed: int, below: str = "") -> None:
        self.folder = folder
        self.below = below
        self.most_bytes = min(MOST_BYTES, max(FREE_BYTES, packed * MOST_RATIO))
        self.bytes = 0
        self.kinds: dict[PurePosixPath, str] = {}
        self.links: list[tuple[Path, str]] = []
        self.modes: list[tuple[Path, int]] = []

    def file(self, name: str, size: int, mode: int, content: IO[bytes]) -> None:
        """
        Write a regular file.
        """
        self.bytes += size
        if self.bytes > self.most_bytes:
            raise BuildFailed(
                f"the archive unpacks to more than {self.most_bytes} bytes, which is the limit "
                "for one of its size"
            )
        path = self._admit(name, "file")
        if path:
            with path.open("xb") as target:
                shutil.copyfileobj(content, target)
            self.modes.append((path, (mode or 0o644) & 0o777 | stat.S_IRUSR))

    def directory(self, name: str, mode: int) -> None:
        """
        Make a folder.
        """
        path = self._admit(name, "folder")
        if path:
            path.mkdir(exist_ok=True)
            self.modes.append((path, (mode or 0o755) & 0o777 | stat.S_IRWXU))

    def link(self, name: str, target: str) -> None:
        """
        Note a symbolic link, to be made by `finish`.
        """
        path = self._admit(name, "link")
        if path:
            self.links.append((path, target))

    def finish(self) -> None:
        """
        Set the modes, make the links and see where they lead.
        """
        for path, target in self.links:
            path.symlink_to(target)
        root = os.path.realpath(self.folder)
        for path, target in self.links:
            if path.relative_to(self.folder).parts[0] == LEAVING_LINKS:
                continue
            end = os.path.realpath(path)
            if end != root and not end.startswith(root + os.sep):
                name = path.relative_to(self.folder)
                raise BuildFailed(f"the link {str(name)!r} in the archive leaves it: {target!r}")
        for path, mode in reversed(self.modes):
            path.chmod(mode)

    def _admit(self, name: str, kind: str) -> Path | None:
        """
        The path for a member, its parents made; None for one outside ``below``.
        """
        if len(self.kinds) >= MOST_MEMBERS:
            raise BuildFailed(f"the archive has more than {MOST_MEMBERS} members")
        member = PurePosixPath(name)
        if member.is_absolute() or ".." in member.parts or "\0" in name:
            raise BuildFailed(
                f"the archive member {name!r} leaves the archive: its path must be relative "
                "and without '..'"
            )
        if self.below:
            if not member.is_relative_to(self.below):
                return None
            member = member.relative_to(self.below)
        if not member.parts:
            return self.folder if kind == "folder" else None
        for parent in member.parents:
            if self.kinds.setdefault(parent, "folder") != "folder":
                raise BuildFailed(f"the archive member {name!r} lies below what is no folder")
        if self.kinds.setdefault(member, kind) != kind or (
            kind != "folder" and os.path.lexists(self.folder / member)
        ):
            raise BuildFailed(f"the archive holds {name!r} twice")
        path = self.folder / member
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def unpack_zip(content: bytes, folder: Path, below: str = "") -> None:
    """
    Unpack a zip, or the part of it ``below`` one of its folders.
    """
    writer = Writer(folder, len(content), below)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            if info.is_dir():
                writer.directory(info.filename, stat.S_IMODE(mode))
            elif stat.S_ISLNK(mode):
                writer.link(info.filename, os.fsdecode(archive.read(info)))
            elif stat.S_IFMT(mode) in (0, stat.S_IFREG):
                with archive.open(info) as member:
                    writer.file(info.filename, info.file_size, stat.S_IMODE(mode), member)
            else:
                raise BuildFailed(f"the archive member {info.filename!r} is a device")
    writer.finish()


def unpack_tar(content: bytes, folder: Path) -> None:
    """
    Unpack a tar.gz.
    """
    writer = Writer(folder, len(content))
    with (
        gzip.GzipFile(fileobj=io.BytesIO(content)) as plain,
        tarfile.open(
            fileobj=cast("Any", _Bounded(plain, writer.most_bytes * 2)), mode="r|"
        ) as archive,
    ):
        for info in archive:
            if info.isdir():
                writer.directory(info.name, info.mode)
            elif info.issym():
                writer.link(info.name, info.linkname)
            elif info.isreg() and (member := archive.extractfile(info)):
                writer.file(info.name, info.size, info.mode, member)
            else:
                raise BuildFailed(
                    f"the archive member {info.name!r} is a hard link or a device; "
                    "expected files, folders and symbolic links"
                )
    writer.finish()


class _Bounded(io.RawIOBase):
    """
    A stream that ends with an error at a limit: tar headers are read into memory, and a
    small gzip can hold a huge one.
    """

    def __init__(self, stream: gzip.GzipFile, limit: int) -> None:
        self.stream = stream
        self.left = limit

    def read(self, size: int = -1) -> bytes:
        """
        Read on, up to the limit.
        """
        data = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise BuildFailed("the archive unpacks to far more than its size allows")
        return data
