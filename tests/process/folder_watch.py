"""Report what appears in a folder, from the kernel (inotify(7))."""

from __future__ import annotations

import ctypes
import os
import select
import struct
from pathlib import Path
from typing import Self

IN_CREATE = 0x100
_EVENT = struct.Struct("iIII")


class FolderWatch:
    """A context manager; ``wait_created`` is called for a folder that exists."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._end: int = self._libc.inotify_init1(os.O_CLOEXEC)
        if self._end < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._end)

    def add(self, folder: Path) -> None:
        """Watch this folder too."""
        if self._libc.inotify_add_watch(self._end, str(folder).encode(), IN_CREATE) < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch", str(folder))

    def wait_created(self, timeout: float = 10.0) -> list[str]:
        """Return the names that were created next; raise ``TimeoutError`` if none was."""
        if not select.select([self._end], [], [], timeout)[0]:
            raise TimeoutError("nothing was created")
        data, names, at = os.read(self._end, 65536), [], 0
        while at < len(data):
            *_, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size
            names.append(data[at : at + length].rstrip(b"\0").decode())
            at += length
        return names
