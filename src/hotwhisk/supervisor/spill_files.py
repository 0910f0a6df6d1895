"""
Keep the supervisor's duplicates of workers' memory files, and the owner of each file.

A worker may be hostile, and it keeps a duplicate of its own. So a file is taken only if it is a
memory file, and then it is sealed: it can grow, but it cannot shrink. A process that has mapped a
file that shrinks would be killed by SIGBUS. A worker may name only its own files.
`largest_owner` finds a worker that hoards files.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from fcntl import (
    F_ADD_SEALS,
    F_GET_SEALS,
    F_SEAL_GROW,
    F_SEAL_SEAL,
    F_SEAL_SHRINK,
    F_SEAL_WRITE,
    fcntl,
)

from hotwhisk.ipc.messages import ProtocolError
from hotwhisk.worker.spill import RESERVE, make_file

NO_SLOT = -1
"""In place of a slot: the owner is not a worker."""

LARGEST = 1 << 30
"""The most bytes of a file that is passed on. A request needs a fraction of that."""

MARGIN = 64
"""Extra files, beyond those for connections and workers, for messages that cross each other."""

RESERVE_BIT = 1 << 47
"""A bit in the number of a file that the supervisor made. Workers count from below it."""

_SEALS = F_SEAL_SHRINK | F_SEAL_SEAL
_FUTURE_WRITE = 0x10  # F_SEAL_FUTURE_WRITE, for which fcntl has no name
_FORBIDDEN = F_SEAL_GROW | F_SEAL_WRITE | _FUTURE_WRITE


class SpillFiles:
    """
    Memory files by number. ``needed`` is how many files connections and workers can need. A file
    whose worker has died belongs to a connection.
    """

    def __init__(self, needed: int, close: Callable[[int], None] = os.close) -> None:
        self._close = close
        self._most = needed + MARGIN
        self._made = 0
        self.reserves: dict[int, int] = {}
        """For each worker's slot the file that was made here and is not used yet."""
        self._files: dict[int, tuple[int, int]] = {}
        """For each file its descriptor and its owner's slot."""
        self._kept: dict[int, int] = {}
        """For each connection the file that its dead worker left."""

    def __contains__(self, spill: int) -> bool:
        return spill in self._files

    @property
    def has_too_many(self) -> bool:
        """Return whether there are more files than connections and workers can need."""
        return len(self._files) - len(self.reserves) > self._most

    def largest_owner(self) -> int:
        """Return the slot of the worker that has most files."""
        owners = Counter(
            owner
            for spill, (_, owner) in self._files.items()
            if owner != NO_SLOT and self.reserves.get(owner) != spill
        )
        return owners.most_common(1)[0][0] if owners else NO_SLOT

    def add(self, spill: int, descriptor: int, slot: int) -> None:
        """
        Take a new file of the worker in ``slot``, with its descriptor.

        Raises:
            ProtocolError: the number is taken, or the descriptor is not that of a memory file.
        """
        if not spill or spill in self._files:
            raise ProtocolError(f"memory file {spill} is not new")
        try:
            fcntl(descriptor, F_ADD_SEALS, _SEALS)
            seals = fcntl(descriptor, F_GET_SEALS)
        except OSError as error:
            raise ProtocolError(f"memory file {spill} cannot be sealed: {error.strerror}") from None
        if seals & _FORBIDDEN:
            raise ProtocolError(f"memory file {spill} has the seals {seals:#x}")
        self._files[spill] = (descriptor, slot)

    def make_reserve(self, slot: int) -> tuple[int, int] | None:
        """
        Make a file for the worker in ``slot``.

        Returns its number and its descriptor; None if no file can be made.
        """
        self._made += 1
        number = (slot << 48) | RESERVE_BIT | self._made & 0xFFFFFFFF
        try:
            descriptor = make_file(RESERVE)
        except OSError:
            return None
        self.add(number, descriptor, slot)
        self.reserves[slot] = number
        return number, descriptor

    def close_own(self, spill: int, slot: int) -> None:
        """
        Close a file that the worker in ``slot`` does not need any more.

        Raises:
            ProtocolError: the worker has no such file.
        """
        self._check(spill, slot)
        self.close(spill)

    def take(self, spill: int, slot: int, length: int) -> int:
        """
        Remove a file with at least ``length`` bytes, and return its descriptor.

        The caller has to close the descriptor.

        Raises:
            ProtocolError: the worker in ``slot`` has no such file, or the file is shorter.
        """
        self._check(spill, slot)
        descriptor, _ = self._files[spill]
        size = os.fstat(descriptor).st_size
        if length > size:
            raise ProtocolError(f"memory file {spill} has {size} bytes, not {length}")
        del self._files[spill]
        self._end_reserve(spill, slot)
        return descriptor

    def holds(self, spill: int, length: int, slot: int, number: int) -> bool:
        """
        Return whether a file holds ``length`` bytes of connection ``number``.

        The worker in ``slot`` was the last one to have that connection.
        """
        if spill not in self._files:
            return False
        descriptor, owner = self._files[spill]
        if self._kept.get(number) != spill and (owner != slot or slot == NO_SLOT):
            return False
        return length <= os.fstat(descriptor).st_size <= LARGEST

    def pass_on(self, spill: int, number: int, slot: int) -> int:
        """Give a file to the worker in ``slot``, and return its descriptor."""
        descriptor, before = self._files[spill]
        self._kept.pop(number, None)
        self._files[spill] = (descriptor, slot)
        self._end_reserve(spill, before)
        return descriptor

    def close(self, spill: int) -> None:
        """Close a file."""
        descriptor, owner = self._files.pop(spill)
        self._close(descriptor)
        self._end_reserve(spill, owner)

    def forget(self, number: int) -> None:
        """Close the file that a dead worker left of connection ``number``, if there is one."""
        spill = self._kept.pop(number, 0)
        if spill in self._files and self._files[spill][1] == NO_SLOT:
            self.close(spill)

    def close_of_worker(self, slot: int, kept: Mapping[int, int]) -> None:
        """Close a dead worker's files, except ``kept`` ones, which go to one connection each."""
        for spill, (descriptor, owner) in list(self._files.items()):
            if owner != slot:
                continue
            if spill in kept:
                self._files[spill] = (descriptor, NO_SLOT)
                self._end_reserve(spill, slot)
                self._kept[kept[spill]] = spill
            else:
                self.close(spill)

    def _end_reserve(self, spill: int, slot: int) -> None:
        """Record that a file is no reserve of its worker any more, because it holds a request."""
        if self.reserves.get(slot) == spill:
            del self.reserves[slot]

    def _check(self, spill: int, slot: int) -> None:
        if self._files.get(spill, (0, NO_SLOT))[1] != slot:
            raise ProtocolError(f"memory file {spill} is not its own")
