"""
Write the content of a version into a file of the state folder, and read it.

The first line has the length and the SHA-256 of what follows, so that a damaged file is found
before any of it is run.
"""

from __future__ import annotations

import mmap
import os
import stat

from hotwhisk.digest import digest_of
from hotwhisk.errors import BuildFailed
from hotwhisk.sizes import MOST_CODE

MOST_BYTES = 4 * MOST_CODE
"""More than any body of an ``/init`` has."""

_HEAD = "hotwhisk version 1"


def write(file: int, held: tuple[int, int, int]) -> int:
    """
    Write a content to a file; return the size of the file.

    The content is ``held`` in memory: a descriptor, an offset and a length.

    Raises:
        OSError: the system cannot write it.
    """
    descriptor, offset, length = held
    with (
        mmap.mmap(descriptor, offset + length, prot=mmap.PROT_READ) as mapped,
        memoryview(mapped)[offset:] as content,
    ):
        head = f"{_HEAD} {length} {digest_of(content)}\n".encode()
        return write_all(file, head) + write_all(file, content)


def write_all(file: int, content: bytes | memoryview) -> int:
    """
    Write all of the content; return its length.

    Raises:
        OSError: the system cannot write it.
    """
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]
    return len(content)


def read(path: str) -> bytes:
    """
    Return the content of a version.

    Raises:
        BuildFailed: the file cannot be read, or is damaged.
    """
    try:
        data = read_file(path, MOST_BYTES)
    except OSError as error:
        raise BuildFailed(f"cannot read the kept version {path}: {error.strerror}") from error
    head, _, content = data.partition(b"\n")
    if head != f"{_HEAD} {len(content)} {digest_of(content)}".encode():
        raise BuildFailed(
            f"the kept version {path} is damaged: its content is not what was written"
        )
    return content


def read_file(path: str, most: int) -> bytes:
    """
    Return the first ``most`` bytes of a file; never wait for a pipe or follow a link.

    Raises:
        OSError: there is no such file, or it cannot be read.
    """
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(file, "rb", buffering=0) as opened:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(0, "it is not a file")
        parts, left = [], most
        while left > 0 and (part := opened.read(left)):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
