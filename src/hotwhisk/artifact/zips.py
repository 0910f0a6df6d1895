"""
Read zips, and write their files below a folder.

An artifact with libraries holds thousands of files and unpacks to a hundred megabytes or more,
while a client waits for ``/init``. So the directory is read once, each file is inflated in one
piece without a copy of its packed bytes, and two threads share the work: inflating and writing both
release the interpreter's lock. The threads end before the function returns, because the process may
be forked later. The standard library reads what is encrypted, or packed by an unusual method.
"""

from __future__ import annotations

import io
import os
import stat
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain

from hotwhisk.artifact.archive import SafeWriter, clean_name, damage_errors, file_mode
from hotwhisk.errors import BuildFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final
    from zipfile import ZipFile, ZipInfo

_STORED: Final = 0
_DEFLATED: Final = 8
_HEAD: Final = 30
"""Bytes of a member's own header before its name."""

_LARGE: Final = 1 << 15
"""Bytes from which a file is written by the second thread."""

_LONGEST_LINK: Final = 4096
"""Most bytes of a link's target, as in Linux. A few packed bytes can stand for a gigabyte."""

_Job = tuple[str, "ZipInfo"]


def open_zip(content: bytes) -> ZipFile:
    """
    Return a zip in memory, with its directory read.

    Raises:
        One of `hotwhisk.artifact.archive.damage_errors`: it cannot be read.
    """
    import zipfile

    return zipfile.ZipFile(io.BytesIO(content))


def zip_names(content: bytes) -> set[str]:
    """Return the member names of a zip, or none if it cannot be read; `unpack_zip` reports that."""
    try:
        with open_zip(content) as archive:
            return {clean_name(name) for name in archive.namelist()}
    except damage_errors():
        return set()


def read_member(archive: ZipFile, name: str, length: int = -1) -> bytes:
    """
    Return one member of a zip, or its first ``length`` bytes.

    Raises:
        One of `hotwhisk.artifact.archive.damage_errors`: it is missing, or it cannot be read.
    """
    infos = archive.infolist()
    found = next((each for each in infos if clean_name(each.filename) == name), None)
    if found is None:
        raise LookupError(f"there is no member {name}")
    with archive.open(found) as member:
        return member.read(length)


def listing(archive: ZipFile, below: str) -> bytes:
    """
    Return names, sizes, checksums and modes of all members below a folder.

    The result is the same for the same content, no matter how it was packed. Contents are not read.
    """
    lines = sorted(
        f"{info.filename}\0{info.file_size}\0{info.CRC:08x}\0{info.external_attr >> 16:o}\n"
        for info in archive.infolist()
        if info.filename.startswith(f"{below}/")
    )
    return "".join(lines).encode("utf-8", "surrogateescape")


def unpack_zip(
    archive: ZipFile, content: bytes, folder: str, below: str = "", without: str = ""
) -> None:
    """
    Unpack a zip.

    If ``below`` names a folder of the zip, only its members are unpacked. If ``without`` names a
    top-level folder, its members are left out.
    """
    writer = SafeWriter(folder, len(content), below, without)
    jobs: list[_Job] = []
    for info in archive.infolist():
        mode = info.external_attr >> 16
        if info.is_dir():
            writer.directory(info.filename, stat.S_IMODE(mode))
        elif stat.S_ISLNK(mode):
            if info.file_size > _LONGEST_LINK:
                raise BuildFailed(f"the link {info.filename!r} has {info.file_size} bytes")
            writer.link(info.filename, os.fsdecode(archive.read(info)))
        elif stat.S_IFMT(mode) in (0, stat.S_IFREG):
            path = writer.path_for_file(info.filename, info.file_size)
            if path:
                jobs.append((path, info))
        else:
            raise BuildFailed(f"the archive member {info.filename!r} is a device")
    _write_all(archive, memoryview(content), jobs)
    writer.finish()


def _write_all(archive: ZipFile, content: memoryview, jobs: list[_Job]) -> None:
    """Write all files, with the large ones in a second thread, until all are written."""
    large = [job for job in jobs if job[1].file_size >= _LARGE]
    if len(large) < 2:
        _write_each(archive, content, jobs)
        return
    import threading

    small = [job for job in jobs if job[1].file_size < _LARGE]
    shared = deque(large)
    failed: list[BaseException] = []

    def help_out() -> None:
        try:
            _write_each(archive, content, _taken(shared))
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            failed.append(error)

    helper = threading.Thread(target=help_out, name="hotwhisk-unpack")
    helper.start()
    try:
        _write_each(archive, content, chain(small, _taken(shared)))
    finally:
        shared.clear()  # after an error here, the other thread has nothing more to do
        helper.join()
    if failed:
        raise failed[0]


def _taken(jobs: deque[_Job]) -> Iterator[_Job]:
    """Yield the remaining jobs, each to one thread only."""
    while True:
        try:
            yield jobs.popleft()
        except IndexError:
            return


def _write_each(archive: ZipFile, content: memoryview, jobs: Iterable[_Job]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    for path, info in jobs:
        data = _read(archive, content, info)
        target = os.open(path, flags, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(target, view) :]
            os.fchmod(target, file_mode(stat.S_IMODE(info.external_attr >> 16)))
        finally:
            os.close(target)


def _read(archive: ZipFile, content: memoryview, info: ZipInfo) -> bytes | memoryview:
    """Return the content of one member, checked."""
    import zipfile

    if info.flag_bits & 1 or info.compress_type not in (_STORED, _DEFLATED):
        return archive.read(info)
    head = content[info.header_offset : info.header_offset + _HEAD]
    if len(head) < _HEAD or bytes(head[:4]) != b"PK\3\4":
        raise zipfile.BadZipFile(f"the member {info.filename!r} is not where it should be")
    names = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    start = info.header_offset + _HEAD + names
    data: bytes | memoryview = content[start : start + info.compress_size]
    if info.compress_type == _DEFLATED:
        inflater = zlib.decompressobj(-15)
        data = inflater.decompress(data, info.file_size + 1)
    if len(data) != info.file_size or zlib.crc32(data) != info.CRC:
        raise zipfile.BadZipFile(f"the member {info.filename!r} is damaged")
    return data
