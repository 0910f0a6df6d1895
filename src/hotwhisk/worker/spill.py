"""
Memory files for bytes that were read and not yet answered.

A request that does not arrive at once is read into a memory file (memfd) which the supervisor
has too. So half a request survives the worker that read it: the next one maps the same file
and goes on reading where it ends. A body of 50 MB is held once, whoever serves it.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from errno import EFBIG

SMALLEST = 64 * 1024
KEPT = 4 * 1024 * 1024
"""The size up to which one idle file is kept for the next large request."""

RESERVE = 58 * 1024 * 1024
"""
The bytes of the file that the supervisor makes for a worker. Any request fits.

Parts of the file that are not written to take no memory.
"""


def make_file(size: int) -> int:
    """
    Return the descriptor of a new memory file.

    Raises:
        OSError: there is no descriptor left, or a limit of this process is below the size.
    """
    descriptor = os.memfd_create("hotwhisk", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(descriptor, size)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


class Spill:
    """
    One memory file, mapped. ``number`` is what the scoreboard calls it.

    It is unmapped when the last reference goes, not by a call: the body of a request that is
    being given back is still a view of it.
    """

    __slots__ = ("map", "number")

    def __init__(self, number: int, mapping: mmap.mmap) -> None:
        self.number = number
        self.map = mapping

    @classmethod
    def adopt(cls, number: int, descriptor: int) -> Spill:
        """Map a file that came with a connection; takes over the descriptor."""
        try:
            return cls(number, mmap.mmap(descriptor, os.fstat(descriptor).st_size))
        finally:
            os.close(descriptor)

    def fit(self, size: int) -> None:
        """Make room for at least ``size`` bytes."""
        if len(self.map) < size:
            self.map.resize(max(size, min(2 * len(self.map), len(self.map) + KEPT)))


class Spills:
    """
    The memory files of one worker. ``deposit(number, descriptor)`` gives the supervisor a
    duplicate of a new one, ``drop(number)`` tells it that one is gone. ``prepare`` is called before
    descriptors are made.

    An action may limit its process (setrlimit) so that files can neither be made nor grow there.
    For this case the supervisor makes one file beforehand, the reserve.
    """

    def __init__(
        self,
        first: int,
        deposit: Callable[[int, int], None],
        drop: Callable[[int], None],
        prepare: Callable[[], None],
    ) -> None:
        self._next = first
        self._deposit = deposit
        self._drop = drop
        self._prepare = prepare
        self._idle: Spill | None = None
        self._reserve: Spill | None = None

    def set_reserve(self, number: int, descriptor: int) -> None:
        """Take over the descriptor of the file that the supervisor made for this worker."""
        try:
            spill = Spill.adopt(number, descriptor)
        except OSError:  # because of a limit of the action again
            self._drop(number)
            return
        if self._reserve is None:
            self._reserve = spill
        else:
            self._drop(number)

    def take(self, size: int) -> Spill:
        """
        A file with room for ``size`` bytes; the supervisor has it too.

        Raises:
            OSError: the file cannot be made, and the reserve is in use.
        """
        spill, self._idle = self._idle, None
        if spill is not None:
            return self.fit(spill, size, 0)
        try:
            return self._create(max(size, SMALLEST))
        except OSError:
            return self._take_reserve(size)

    def fit(self, spill: Spill, size: int, used: int) -> Spill:
        """
        Make room for ``size`` bytes in a file that holds ``used`` bytes; return the file.

        If the file cannot grow, return another file that holds these bytes.

        Raises:
            OSError: the file cannot grow, and the reserve is in use.
        """
        try:
            spill.fit(size)
        except OSError:
            larger = self._take_reserve(size)
            larger.map[:used] = spill.map[:used]
            self._drop(spill.number)
            return larger
        return spill

    def _take_reserve(self, size: int) -> Spill:
        spill = self._reserve
        if spill is None or len(spill.map) < size:
            raise OSError(EFBIG, os.strerror(EFBIG))
        self._reserve = None
        return spill

    def _create(self, size: int) -> Spill:
        self._prepare()
        descriptor = make_file(size)
        try:
            spill = Spill(self._next, mmap.mmap(descriptor, size))
            self._next += 1
            self._deposit(spill.number, descriptor)
        finally:
            os.close(descriptor)
        return spill

    def release(self, spill: Spill) -> None:
        """Keep the file of answered bytes for the next request, or drop it."""
        if self._idle is None and len(spill.map) <= KEPT:
            self._idle = spill
        elif self._reserve is None and len(spill.map) == RESERVE:
            spill.map.madvise(mmap.MADV_REMOVE)  # it was needed once and will be again
            self._reserve = spill
        else:
            self._drop(spill.number)
