"""
Keep the sources of a version that is served where it lies, as they were when it was loaded.

Posted code is kept whole. A file or folder on this machine may have changed when a further worker
of its generation starts, or when the server rolls back to it. So the first worker reads all sources
of the version, the supervisor keeps them in a memory file, and later workers get that file.

- In a folder, all Python sources and ``requirements.txt`` belong to the version. The digest also
  covers the other files. These are read where they lie, since an action may write to them.
- With a file or a module, the sources that it may import from beside it belong to the version.
  These are each module and package whose name is a word of its text, or a word of their texts. A
  few needless sources do no harm. To parse all sources for their imports would cost more. It would
  also miss names that are put together.

Virtual environments, caches, hidden files and ``node_modules`` are left out. Libraries are found
by their path.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator

from hotwhisk.digest import digest_of, sha256
from hotwhisk.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final


REQUIREMENTS: Final = "requirements.txt"
"""A file in the folder of an action. It lists libraries that the action needs but lacks."""

MOST_FOLDERS: Final = 5000
MOST_BYTES: Final = 48 << 20
"""Most bytes of all sources together, as for posted code. Others are read where they lie."""

MOST_DATA: Final = 1 << 20
"""
Most bytes of a file, other than a source, whose content the digest covers.

For a larger file, the digest covers the date and the size.
"""

SKIPPED: Final = frozenset(
    {"__pycache__", "node_modules", "site-packages", "dist-packages", "venv", "virtualenv"}
)
_SKIPPED_ENDS: Final = (".pyc", "~", ".swp", ".orig", ".rej", "#")
_SOURCE: Final = ".py"
_MAGIC: Final = b"\0hotwhisk-snapshot\n"
_SEPARATORS: Final = bytes(
    each if chr(each).isalnum() or each == 95 or each > 127 else 32 for each in range(256)
)
"""A table for `bytes.translate`. All bytes outside Python names become spaces."""


class Snapshot(Record):
    """
    Holds the sources of a version.

    ``files`` has the content of each source by its path below ``root``, the folder to import from.
    ``entry`` is the source to run. It is empty if the name of a module says what to run. If the
    snapshot is ``whole``, there is no source outside ``files``. ``libraries`` is the virtual
    environment that was made for the version. If it is empty, ``requirements.txt`` counts.
    ``prelude`` is Python source that is run first.
    """

    root: str
    entry: str
    files: dict[str, bytes]
    whole: bool
    digest: str
    libraries: str = ""
    prelude: str = ""

    def paths(self) -> dict[str, bytes]:
        """Return the sources by their absolute paths."""
        return {f"{self.root}/{name}": content for name, content in self.files.items()}


def of_path(path: str, entry: str, content: bytes) -> Snapshot:
    """Read the sources that belong to a file or a folder whose ``entry`` has this content."""
    return of_file(path, content) if entry == path else of_folder(path, entry, content)


def of_file(path: str, content: bytes) -> Snapshot:
    """Read the sources that a source of this content may import from beside it."""
    root, entry = os.path.split(os.path.realpath(path))
    return _closure(root, entry, {entry: content})


def of_folder(folder: str, entry: str, content: bytes) -> Snapshot:
    """Read all sources in a folder whose ``entry`` has this content."""
    root = os.path.realpath(folder)
    entry = os.path.relpath(entry, folder)
    names = sorted(_names_below(root, ""))
    files = {entry: content, **_sources(root, [each for each in names if each != entry])}
    data = [_describe(f"{root}/{name}", name) for name in names if not _is_source(name)]
    whole = sum(map(len, files.values())) < MOST_BYTES
    return Snapshot(root, entry, files, whole, _digest(entry, files, data))


def sources_below(root: str) -> dict[str, bytes]:
    """Read all sources in a folder, by their paths from there."""
    return _sources(root, sorted(_names_below(root, "")))


def folders_below(root: str) -> list[str]:
    """Return a folder and the folders in it that may hold sources, the nearest first."""
    return [f"{root}/{folder}" if folder else root for folder, _ in _walk(root, "")]


def of_module(root: str, top: str, *, alone: bool) -> Snapshot:
    """
    Read a top-level module or package ``top`` of the folder ``root``.

    If ``alone`` is false, also read the sources that it may import from beside it.
    """
    root = os.path.realpath(root)
    files: dict[str, bytes] = {}
    _add(root, top, files)
    if not alone:
        return _closure(root, "", files)
    return Snapshot(root, "", files, whole=False, digest=_digest("", files))


def pack(snapshot: Snapshot) -> bytes:
    """Return a snapshot as bytes."""
    parts = [os.fsencode(snapshot.root), os.fsencode(snapshot.entry), snapshot.digest.encode()]
    parts.append(b"whole" if snapshot.whole else b"")
    parts += [os.fsencode(snapshot.libraries), os.fsencode(snapshot.prelude)]
    for name, content in snapshot.files.items():
        parts += [os.fsencode(name), content]
    return _MAGIC + b" ".join(b"%d" % len(part) for part in parts) + b"\n" + b"".join(parts)


def unpack(packed: bytes | memoryview) -> Snapshot | None:
    """Return the snapshot in bytes of `pack`, or None if the bytes hold something else."""
    if packed[: len(_MAGIC)] != _MAGIC:
        return None
    packed = bytes(packed)
    head, _, rest = packed[len(_MAGIC) :].partition(b"\n")
    parts, at = [], 0
    for length in map(int, head.split()):
        parts.append(rest[at : at + length])
        at += length
    root, entry, digest, whole, libraries, prelude = parts[:6]
    names = map(os.fsdecode, parts[6::2])
    files = dict(zip(names, parts[7::2], strict=True))
    return Snapshot(
        os.fsdecode(root),
        os.fsdecode(entry),
        files,
        bool(whole),
        digest.decode(),
        os.fsdecode(libraries),
        os.fsdecode(prelude),
    )


def _closure(root: str, entry: str, files: dict[str, bytes]) -> Snapshot:
    """Add each module and package of ``root`` whose name is a word in one of the files."""
    beside = _importable(root)
    waiting = list(files)
    while waiting:
        words = set(files[waiting.pop()].translate(_SEPARATORS).split())
        for name in sorted(words & beside.keys()):
            waiting += _add(root, beside.pop(name), files)
    return Snapshot(root, entry, files, whole=False, digest=_digest(entry, files))


def _importable(root: str) -> dict[bytes, str]:
    """Return the modules and packages in a folder by their names as words."""
    found: dict[bytes, str] = {}
    try:
        with os.scandir(root) as entries:
            for entry in entries:
                stem = entry.name.removesuffix(_SOURCE)
                if not stem.isidentifier() or entry.name in SKIPPED:
                    continue
                if stem != entry.name or _kind(entry)[0]:
                    found[stem.encode("utf-8", "surrogateescape")] = stem
    except OSError:  # a folder can be entered and yet not be listed
        pass
    return found


def _add(root: str, name: str, files: dict[str, bytes]) -> list[str]:
    """Add a module or a package to the files, and return the new files."""
    names = [f"{name}{_SOURCE}"]
    if os.path.isdir(f"{root}/{name}"):
        names += sorted(_names_below(root, name))
    used = sum(map(len, files.values()))
    added = _sources(root, [each for each in names if each not in files], used)
    files.update(added)
    return list(added)


def _sources(root: str, names: Iterable[str], used: int = 0) -> dict[str, bytes]:
    """
    Return the content of each name that is a source.

    ``used`` is the number of bytes that are read already.
    """
    files: dict[str, bytes] = {}
    for name in filter(_is_source, names):
        content = _read(f"{root}/{name}", MOST_BYTES - used)
        if content is not None:
            files[name] = content
            used += len(content)
    return files


def _is_source(name: str) -> bool:
    return name.endswith(_SOURCE) or name == REQUIREMENTS


def _names_below(root: str, folder: str) -> Iterator[str]:
    """Return the files below a folder by their paths from ``root``."""
    for each, files in _walk(root, folder):
        yield from (f"{each}/{name}" if each else name for name in files)


def _walk(root: str, folder: str) -> Iterator[tuple[str, list[str]]]:
    """
    Return a folder and the folders below it, by their paths from ``root``, with their file names.

    Links are followed, and each folder is met once.
    """
    waiting = deque([folder])
    seen: set[tuple[int, int]] = set()
    while waiting and len(seen) < MOST_FOLDERS:
        folder = waiting.popleft()
        place = f"{root}/{folder}" if folder else root
        try:
            found = os.stat(place)
            if (found.st_dev, found.st_ino) in seen:
                continue
            seen.add((found.st_dev, found.st_ino))
            with os.scandir(place) as entries:
                below = [(entry.name, *_kind(entry)) for entry in entries]
        except OSError:
            continue
        if any(name == "pyvenv.cfg" for name, *_ in below):
            continue
        below = [each for each in below if not _is_left_out(each[0])]
        yield folder, [name for name, _, is_file in below if is_file]
        names = sorted(name for name, is_folder, _ in below if is_folder)
        waiting += [f"{folder}/{name}" if folder else name for name in names]


def _kind(entry: os.DirEntry[str]) -> tuple[bool, bool]:
    """Return whether an entry is or leads to a folder, and whether it is or leads to a file."""
    try:
        return entry.is_dir(), entry.is_file()
    except OSError:  # the entry is a link to itself
        return False, False


def _is_left_out(name: str) -> bool:
    return name.startswith(".") or name in SKIPPED or name.endswith(_SKIPPED_ENDS)


def _read(path: str, most: int) -> bytes | None:
    """Return the content of a file of at most ``most`` bytes, or None if it cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size > most:
                return None
            return file.read()
    except OSError:
        return None


def _describe(path: str, name: str) -> str:
    """Return a line that changes when a file does."""
    try:
        found = os.stat(path)
    except OSError:
        return name
    content = _read(path, MOST_DATA)
    if content is None:
        return f"{name}\0{found.st_size}\0{found.st_mtime_ns}"
    return f"{name}\0{sha256(content).hex()}"


def _digest(entry: str, files: dict[str, bytes], data: Iterable[str] = ()) -> str:
    """
    Return one digest for all files.

    A source that is alone has the same digest as when it is posted.
    """
    lines = [f"{name}\0{sha256(content).hex()}" for name, content in files.items()]
    lines += data
    if len(lines) == 1 and entry in files:
        return digest_of(files[entry])
    text = "\n".join([entry, *sorted(lines)])
    return digest_of(text.encode("utf-8", "surrogateescape"))
