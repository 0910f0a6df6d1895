"""
Keep bytes that were read and not yet answered in memory files (memfd), called spill files.

If a request does not arrive at once, it is read into a spill file, which the supervisor has too. So
half a request outlives the worker that read it: the next worker maps the same file and continues to
read where it ends. A body of 50 MB is held once, whichever worker serves it.
"""

from __future__ import annotations

from collections.abc import Callable
from errno import EFBIG
from fcntl import F_ADD_SEALS, F_SEAL_SHRINK, fcntl
from mmap import MADV_REMOVE, mmap
from os import (
    MFD_ALLOW_SEALING,
    MFD_CLOEXEC,
    close,
    fstat,
    ftruncate,
    memfd_create,
    strerror,
    write,
)

SMALLEST = 64 * 1024
KEPT = 4 * 1024 * 1024
"""The size up to which one idle file is kept for the next large request."""

RESERVE = 62 * 1024 * 1024
"""
The bytes of the file that the supervisor makes for a worker. Any request fits.

Parts of the file that are not written to take no memory.
"""


def make_file(size: int) -> int:
    """
    Return the descriptor of a new memory file, which can grow but never shrink.

    The action has the descriptor before the supervisor does. If it made the file shorter, the next
    worker that reads the lost part would die of SIGBUS.

    Raises:
        OSError: there is no descriptor left, or a limit of this process is below the size.
    """
    descriptor = memfd_create("hotwhisk", MFD_CLOEXEC | MFD_ALLOW_SEALING)
    try:
        ftruncate(descriptor, size)
        fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK)
    except BaseException:
        close(descriptor)
        raise
    return descriptor


class Spill:
    """
    Maps one spill file. ``number`` is its number in the scoreboard.

    It is unmapped when its last reference is gone, and not by a call, because the body of a request
    that is being released is still a view of it.
    """

    __slots__ = ("map", "number")

    def __init__(self, number: int, mapping: mmap) -> None:
        self.number = number
        self.map = mapping

    @classmethod
    def adopt(cls, number: int, descriptor: int) -> Spill:
        """Map a file that came with a connection, and close the descriptor."""
        try:
            return cls(number, mmap(descriptor, fstat(descriptor).st_size))
        finally:
            close(descriptor)

    def fit(self, size: int) -> None:
        """Make room for at least ``size`` bytes."""
        if len(self.map) < size:
            self.map.resize(max(size, min(2 * len(self.map), len(self.map) + KEPT)))


class Spills:
    """
    Holds the spill files of one worker.

    ``created(number, descriptor)`` sends a duplicate of a new file to the supervisor.
    ``closed(number)`` tells the supervisor that a file is not needed any more. ``prepare`` is
    called before descriptors are made.

    An action may limit its process (setrlimit) so that files can neither be made nor grow there.
    For this case the supervisor makes one file beforehand, the reserve.
    """

    def __init__(
        self,
        first: int,
        created: Callable[[int, int], None],
        closed: Callable[[int], None],
        prepare: Callable[[], None],
    ) -> None:
        self._next = first
        self._created = created
        self._closed = closed
        self._prepare = prepare
        self._idle: Spill | None = None
        self._reserve: Spill | None = None

    def set_reserve(self, number: int, descriptor: int) -> None:
        """Map the file that the supervisor made for this worker, and close the descriptor."""
        try:
            spill = Spill.adopt(number, descriptor)
        except OSError:  # because of a limit that the action set
            self._closed(number)
            return
        if self._reserve is None:
            self._reserve = spill
        else:
            self._closed(number)

    def take(self, size: int) -> Spill:
        """
        Return a file with room for ``size`` bytes; the supervisor has it too.

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

    def write(self, data: bytes | memoryview) -> tuple[int, int]:
        """
        Write data to a file that leaves this process; return its number and its descriptor.

        The caller sends both to the supervisor, and closes the descriptor. It is -1 if the file is
        the reserve, which the supervisor has.

        Raises:
            OSError: the file cannot be made, and the reserve is in use.
        """
        self._prepare()
        descriptor = -1
        try:
            descriptor = make_file(len(data))
            if write(descriptor, data) < len(data):
                raise OSError(EFBIG, strerror(EFBIG))
        except OSError:
            if descriptor >= 0:
                close(descriptor)
            spill = self._take_reserve(len(data))
            spill.map[: len(data)] = data
            return spill.number, -1
        self._next += 1
        return self._next - 1, descriptor

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
            self._closed(spill.number)
            return larger
        return spill

    def _take_reserve(self, size: int) -> Spill:
        spill = self._reserve
        if spill is None or len(spill.map) < size:
            raise OSError(EFBIG, strerror(EFBIG))
        self._reserve = None
        return spill

    def _create(self, size: int) -> Spill:
        self._prepare()
        descriptor = make_file(size)
        try:
            spill = Spill(self._next, mmap(descriptor, size))
            self._next += 1
            self._created(spill.number, descriptor)
        finally:
            close(descriptor)
        return spill

    def put_back(self, spill: Spill) -> None:
        """Free a spill file; keep one small file for the next request."""
        if self._idle is None and len(spill.map) <= KEPT:
            self._idle = spill
        elif self._reserve is None and len(spill.map) == RESERVE:
            spill.map.madvise(MADV_REMOVE)  # it takes no memory until it is needed again
            self._reserve = spill
        else:
            self._closed(spill.number)
