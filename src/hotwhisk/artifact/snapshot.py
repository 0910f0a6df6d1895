"""
A version that is served from where it lies: its sources as they were when it was loaded.

What is posted is kept whole. A file or folder on this machine may have changed when a further
worker of its generation starts, or when it is rolled back to. So the first worker reads all that
belongs to the version, the supervisor keeps it in a memory file, and later workers get it.

- Of a folder all Python sources and `requirements.txt` belong to it; its digest covers the other files too. These are
  read where they lie, since an action may write to them.
- Of a file, and of a module, what it may import from beside it: each module and package whose
  name is a word of its text, and of the texts of those. To read a few too many does no harm; to
  parse all of them for their imports would cost more, and would miss names that are put together.

Left out are virtual environments, caches, hidden files and `node_modules`: libraries stay by path.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from hotwhisk.artifact.files import REQUIREMENTS
from hotwhisk.digest import sha256
from hotwhisk.record import Record

MOST_FOLDERS: Final = 5000
MOST_BYTES: Final = 48 << 20
"""Of all sources together, as of posted code; what is beyond is read where it lies."""

MOST_DATA: Final = 1 << 20
"""Bytes of a file that is no source, up to which the digest covers its content, not its date."""

SKIPPED: Final = frozenset(
    {"__pycache__", "node_modules", "site-packages", "dist-packages", "venv", "virtualenv"}
)
_SKIPPED_ENDS: Final = (".pyc", "~", ".swp", ".orig", ".rej", "#")
_SOURCE: Final = ".py"
_MAGIC: Final = b"\0hotwhisk-snapshot\n"
_SEPARATORS: Final = bytes(
    each if chr(each).isalnum() or each == 95 or each > 127 else 32 for each in range(256)
)
"""For `bytes.translate`: all that is no part of a Python name becomes a space."""


class Snapshot(Record):
    """
    The sources of a version: ``files`` by their path below ``root``, where it imports from.
    ``entry`` is the one to run, empty where a module's name says that. In a ``whole`` one there is
    no source beside these.
    """

    root: str
    entry: str
    files: dict[str, bytes]
    whole: bool
    digest: str

    def paths(self) -> dict[str, bytes]:
        """Return the sources by their absolute paths."""
        return {f"{self.root}/{name}": content for name, content in self.files.items()}


def of_file(path: str, content: bytes) -> Snapshot:
    """Read what a source of this content may import from beside it."""
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
    """Return a folder and those in it that may hold sources, the nearest first."""
    return [f"{root}/{folder}" if folder else root for folder, _ in _walk(root, "")]


def of_module(root: str, top: str, *, alone: bool) -> Snapshot:
    """
    Read a top-level module or package ``top`` of the folder ``root``, and unless it is to be
    ``alone``, what that may import from beside it.
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
    for name, content in snapshot.files.items():
        parts += [os.fsencode(name), content]
    return _MAGIC + b" ".join(b"%d" % len(part) for part in parts) + b"\n" + b"".join(parts)


def unpack(packed: bytes | memoryview) -> Snapshot | None:
    """Return the snapshot in bytes of `pack`; None if these are something else."""
    packed = bytes(packed)
    if not packed.startswith(_MAGIC):
        return None
    head, _, rest = packed[len(_MAGIC) :].partition(b"\n")
    parts, at = [], 0
    for length in map(int, head.split()):
        parts.append(rest[at : at + length])
        at += length
    root, entry, digest, whole = parts[:4]
    names = map(os.fsdecode, parts[4::2])
    files = dict(zip(names, parts[5::2], strict=True))
    return Snapshot(os.fsdecode(root), os.fsdecode(entry), files, bool(whole), digest.decode())


def _closure(root: str, entry: str, files: dict[str, bytes]) -> Snapshot:
    """Add each module and package of ``root`` that is named in a file that is there already."""
    beside = _importable(root)
    waiting = list(files)
    while waiting:
        words = set(files[waiting.pop()].translate(_SEPARATORS).split())
        for name in sorted(words & beside.keys()):
            waiting += _add(root, beside.pop(name), files)
    return Snapshot(root, entry, files, whole=False, digest=_digest(entry, files))


def _importable(root: str) -> dict[bytes, str]:
    """The modules and packages in a folder, by their names as words."""
    found: dict[bytes, str] = {}
    try:
        with os.scandir(root) as entries:
            for entry in entries:
                stem = entry.name.removesuffix(_SOURCE)
                if not stem.isidentifier() or entry.name in SKIPPED:
                    continue
                if stem != entry.name or _kind(entry)[0]:
                    found[stem.encode("utf-8", "surrogateescape")] = stem
    except OSError:  # the folder of a file can be entered and not be listed
        pass
    return found


def _add(root: str, name: str, files: dict[str, bytes]) -> list[str]:
    """Add a module or a package to the files; returns which are new."""
    names = [f"{name}{_SOURCE}"]
    if os.path.isdir(f"{root}/{name}"):
        names += sorted(_names_below(root, name))
    used = sum(map(len, files.values()))
    added = _sources(root, [each for each in names if each not in files], used)
    files.update(added)
    return list(added)


def _sources(root: str, names: Iterable[str], used: int = 0) -> dict[str, bytes]:
    """The content of those that are sources; ``used`` bytes are read already."""
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
    """The files below a folder, by their paths from ``root``."""
    for each, files in _walk(root, folder):
        yield from (f"{each}/{name}" if each else name for name in files)


def _walk(root: str, folder: str) -> Iterator[tuple[str, list[str]]]:
    """
    A folder and those below it, by their paths from ``root``, each with the names of its files.
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
    """Whether this is, or leads to, a folder; and whether to a file."""
    try:
        return entry.is_dir(), entry.is_file()
    except OSError:  # a link to itself
        return False, False


def _is_left_out(name: str) -> bool:
    return name.startswith(".") or name in SKIPPED or name.endswith(_SKIPPED_ENDS)


def _read(path: str, most: int) -> bytes | None:
    """The content of a file of at most ``most`` bytes; None if it cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size > most:
                return None
            return file.read()
    except OSError:
        return None


def _describe(path: str, name: str) -> str:
    """A line that changes when a file does."""
    try:
        found = os.stat(path)
    except OSError:
        return name
    content = _read(path, MOST_DATA)
    if content is None:
        return f"{name}\0{found.st_size}\0{found.st_mtime_ns}"
    return f"{name}\0{sha256(content).hex()}"


def _digest(entry: str, files: dict[str, bytes], data: Iterable[str] = ()) -> str:
    """One digest for all; that of a source which is alone is the one that it has when posted."""
    lines = [f"{name}\0{sha256(content).hex()}" for name, content in files.items()]
    lines += data
    if len(lines) == 1 and entry in files:
        return "sha256:" + sha256(files[entry]).hex()
    text = "\n".join([entry, *sorted(lines)])
    return "sha256:" + sha256(text.encode("utf-8", "surrogateescape")).hex()
