"""
Write the members of an archive below one folder, with checks; and read tar.gz. See `zips` for zips.

An archive is input from outside. The name, size and kind of each member are checked before any of
it is written. All is written into a folder that is removed if a check fails. Two rules keep every
write inside the folder: a member may not be below one that is not a folder, and links are made
after all files are written. The file system says at the end where links lead, because the text of a
link does not show that it leads through other links.

``extractall`` is not used: for zip it loses modes and symbolic links, which actions with a
``virtualenv/`` need.

The readers of the standard library are imported when an archive has arrived: they take more memory
and time than all the rest of a worker, and most actions are one source. The import is done before
modules can be imported from the action's folder, so the action cannot replace them.
"""

from __future__ import annotations

import io
import os
import stat
from contextlib import contextmanager

from hotwhisk.errors import BuildFailed
from hotwhisk.sizes import show_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    import gzip
    from collections.abc import Iterator
    from tarfile import TarFile
    from typing import IO, Any, Final

MOST_MEMBERS: Final = 50_000
MOST_DEPTH: Final = 100
"""
Most names in the path of a member.

Deeper paths are slow, and many programs cannot handle them.
"""
MOST_NAME: Final = 255
"""Most bytes of one of these names. File systems have the same limit."""
MOST_PATH: Final = 2048
"""Most bytes of a whole path. Linux takes 4096, including the folder to unpack into."""
MOST_BYTES: Final = 1 << 30
"""Most bytes of all files together, unpacked."""
MOST_RATIO: Final = 200
"""Highest ratio of unpacked to packed bytes, for archives that unpack to more than `FREE_BYTES`."""
FREE_BYTES: Final = 16 << 20

LEAVING_LINKS: Final = "virtualenv"
"""
The folder below which links may lead outside.

A virtual environment has a link to the Python it was made for, and no file is written through a
link.
"""

PIECE: Final = 1 << 20
"""Bytes copied at once."""


def damage_errors(*others: type[Exception]) -> tuple[type[Exception], ...]:
    """Return the exceptions for a damaged or encrypted archive, and ``others``."""
    import tarfile
    import zipfile
    import zlib

    own = [zipfile.BadZipFile, tarfile.TarError, zlib.error]
    try:
        from lzma import LZMAError
    except ImportError:  # zipfile does not raise it if Python was built without the compression
        pass
    else:
        own.append(LZMAError)
    return (*own, EOFError, OSError, ValueError, RuntimeError, OverflowError, LookupError, *others)


def file_mode(stated: int) -> int:
    """Return the mode of a file, because an archive may state none."""
    return (stated or 0o644) & 0o777 | stat.S_IRUSR


def _most_bytes(packed: int) -> int:
    """Return the most bytes to which an archive of that size may unpack."""
    return min(MOST_BYTES, max(FREE_BYTES, packed * MOST_RATIO))


class SafeWriter:
    """Checks members one by one, and writes them below ``folder``."""

    def __init__(self, folder: str, packed: int, below: str = "", without: str = "") -> None:
        self.folder = folder
        self.below = tuple(below.split("/")) if below else ()
        self.without = without
        self.most_bytes = _most_bytes(packed)
        self.bytes = 0
        self.kinds: dict[tuple[str, ...], str] = {}
        self.made: set[str] = set()
        self.links: list[tuple[str, str]] = []
        self.modes: list[tuple[str, int]] = []

    def file(self, name: str, size: int, mode: int, content: IO[bytes]) -> None:
        """Write a regular file."""
        path = self.path_for_file(name, size)
        if path:
            with open(path, "xb") as target:
                while piece := content.read(PIECE):
                    target.write(piece)
            self.modes.append((path, file_mode(mode)))

    def path_for_file(self, name: str, size: int) -> str | None:
        """Return the path at which a regular file is to be written, or None if it is not wanted."""
        self.bytes += size
        if self.bytes > self.most_bytes:
            raise BuildFailed(
                f"the archive unpacks to more than {show_size(self.most_bytes)}, which is the limit "
                "for one of its size"
            )
        return self._path_for(name, "file")

    def directory(self, name: str, mode: int) -> None:
        """Make a folder."""
        path = self._path_for(name, "folder")
        if path:
            os.makedirs(path, exist_ok=True)
            self.modes.append((path, (mode or 0o755) & 0o777 | stat.S_IRWXU))

    def link(self, name: str, target: str) -> None:
        """Note a symbolic link that `finish` makes later."""
        path = self._path_for(name, "link")
        if path:
            self.links.append((path, target))

    def finish(self) -> None:
        """Make the links, check where they lead, and set the modes."""
        for path, target in self.links:
            os.symlink(target, path)
        root = os.path.realpath(self.folder)
        for path, target in self.links:
            name = path[len(self.folder) + 1 :]
            if name.partition("/")[0] == LEAVING_LINKS:
                continue
            end = os.path.realpath(path)
            if end != root and not end.startswith(root + os.sep):
                raise BuildFailed(f"the link {name!r} in the archive leaves it: {target!r}")
        for path, mode in reversed(self.modes):
            os.chmod(path, mode)

    def _path_for(self, name: str, kind: str) -> str | None:
        """
        Check a member, make its parent folders, and return its path.

        Return None for a member outside ``below`` or in the top-level folder ``without``.
        """
        if len(self.kinds) >= MOST_MEMBERS:
            raise BuildFailed(f"the archive has more than {MOST_MEMBERS} members")
        member = tuple(part for part in name.split("/") if part not in ("", "."))
        if name.startswith("/") or ".." in member or "\0" in name:
            raise BuildFailed(
                f"the archive member {name!r} leaves the archive: its path must be relative "
                "and without '..'"
            )
        _check_length(name, member)
        if member[: len(self.below)] != self.below or member[:1] == (self.without,):
            return None
        member = member[len(self.below) :]
        if not member:
            return self.folder if kind == "folder" else None
        for length in range(1, len(member)):
            if self.kinds.setdefault(member[:length], "folder") != "folder":
                raise BuildFailed(f"the archive member {name!r} lies below what is no folder")
        path = "/".join((self.folder, *member))
        if member in self.kinds and {kind, self.kinds[member]} != {"folder"}:
            raise BuildFailed(f"the archive holds {name!r} twice")
        self.kinds[member] = kind
        parent = os.path.dirname(path)
        if parent not in self.made:
            os.makedirs(parent, exist_ok=True)
            self.made.add(parent)
        return path


def _check_length(name: str, member: tuple[str, ...]) -> None:
    """Refuse a path that is too deep or too long for a file system or a program."""
    if len(member) > MOST_DEPTH:
        raise BuildFailed(
            f"the archive member {name[:100]!r}… lies {len(member)} folders deep; "
            f"the limit is {MOST_DEPTH}"
        )
    lengths = [len(part.encode("utf-8", "surrogateescape")) for part in member]
    if max(lengths, default=0) > MOST_NAME or sum(lengths) + len(lengths) > MOST_PATH:
        raise BuildFailed(
            f"the archive member {name[:100]!r}… is too long; the limit is {MOST_NAME} bytes "
            f"for a name and {MOST_PATH} for its whole path"
        )


@contextmanager
def open_tar(content: bytes) -> Iterator[TarFile]:
    """
    Open a tar.gz in memory, to be read once from its beginning to its end.

    Raises:
        BuildFailed: it unpacks to far more than its size allows.
        One of `damage_errors`: it cannot be read.
    """
    import gzip
    import tarfile

    with (
        gzip.GzipFile(fileobj=io.BytesIO(content)) as stream,
        tarfile.open(fileobj=_bounded(stream, len(content)), mode="r|") as archive,
    ):
        yield archive


def tar_heads(content: bytes, length: int) -> dict[str, bytes]:
    """Return the beginnings of the top-level files of a tar.gz, or none if it cannot be read."""
    heads: dict[str, bytes] = {}
    try:
        with open_tar(content) as archive:
            for info in archive:
                name = clean_name(info.name)
                if "/" not in name and info.isreg() and (member := archive.extractfile(info)):
                    heads[name] = member.read(length)
    except damage_errors(BuildFailed):
        return {}
    return heads


def clean_name(name: str) -> str:
    """Return a member's name without the ``./`` that archivers may put before it: ``./exec``."""
    return name.removeprefix("./")


def unpack_tar(content: bytes, folder: str) -> None:
    """Unpack a tar.gz."""
    writer = SafeWriter(folder, len(content))
    with open_tar(content) as archive:
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


def _bounded(stream: gzip.GzipFile, packed: int) -> Any:
    bounded: Any = _Bounded(stream, _most_bytes(packed) * 2)
    return bounded


class _Bounded(io.RawIOBase):
    """
    A stream that raises an error at a limit.

    tar headers are read into memory, and a small gzip can hold a huge one.
    """

    def __init__(self, stream: gzip.GzipFile, limit: int) -> None:
        self.stream = stream
        self.left = limit

    def read(self, size: int = -1) -> bytes:
        """Read on, up to the limit."""
        data = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise BuildFailed("the archive unpacks to far more than its size allows")
        return data
