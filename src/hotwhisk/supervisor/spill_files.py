"""
The supervisor's duplicates of workers' memory files, and whose each is.

A worker may be hostile, and it keeps a duplicate of its own. So a file is taken only if it is a
memory file, and it is sealed: it can grow, but not shrink under a process that has mapped it,
which would be killed by SIGBUS. A worker may name only files of its own, and who hoards them is
found by `largest_owner`.
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

from hotwhisk.messages import ProtocolError
from hotwhisk.worker.spill import RESERVE, make_file

NO_SLOT = -1
"""Where there is a slot: that of no worker."""

LARGEST = 1 << 30
"""Bytes of a file that is handed on. What a request needs is a fraction of that."""

SPARE = 64
"""Files beside those that connections and workers need, for what crosses."""

RESERVE_BIT = 1 << 47
"""In the number of a file that the supervisor has made; workers count from below."""

_SEALS = F_SEAL_SHRINK | F_SEAL_SEAL
_FUTURE_WRITE = 0x10  # F_SEAL_FUTURE_WRITE, which fcntl does not name
_FORBIDDEN = F_SEAL_GROW | F_SEAL_WRITE | _FUTURE_WRITE


class SpillFiles:
    """
    Memory files by number. ``needed`` is how many connections and workers can need. A file whose
    worker has died belongs to a connection.
    """

    def __init__(self, needed: int, close: Callable[[int], None] = os.close) -> None:
        self._close = close
        self._most = needed + SPARE
        self._made = 0
        self._reserves: dict[int, int] = {}
        """The slot for which each file was made here, as long as that has it unused."""
        self._files: dict[int, tuple[int, int]] = {}
        """The descriptor and the owner's slot of each."""
        self._kept: dict[int, int] = {}
        """By connection, the file that its dead worker left."""

    def __contains__(self, spill: int) -> bool:
        return spill in self._files

    @property
    def crowded(self) -> bool:
        """Whether there are more than connections and workers can need."""
        return len(self._files) - len(self._reserves) > self._most

    def largest_owner(self) -> int:
        """Return the slot of the worker that has most."""
        owners = Counter(
            owner
            for spill, (_, owner) in self._files.items()
            if owner != NO_SLOT and spill not in self._reserves
        )
        return owners.most_common(1)[0][0] if owners else NO_SLOT

    def deposit(self, spill: int, descriptor: int, slot: int) -> None:
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
        Make a file that belongs to the worker in ``slot``, unless it has one of these already.

        Returns its number and its descriptor; None if there is one, or none can be made.
        """
        if slot in self._reserves.values():
            return None
        self._made += 1
        number = (slot << 48) | RESERVE_BIT | self._made & 0xFFFFFFFF
        try:
            descriptor = make_file(RESERVE)
        except OSError:
            return None
        self.deposit(number, descriptor, slot)
        self._reserves[number] = slot
        return number, descriptor

    def drop(self, spill: int, slot: int) -> None:
        """
        Close a file that the worker in ``slot`` needs no more.

        Raises:
            ProtocolError: it has no such file.
        """
        self._check(spill, slot)
        self.close(spill)

    def take(self, spill: int, slot: int, length: int) -> int:
        """
        Remove a file with at least ``length`` bytes and return its descriptor, which is the
        caller's.

        Raises:
            ProtocolError: the worker in ``slot`` has no such file, or it is shorter.
        """
        self._check(spill, slot)
        descriptor, _ = self._files[spill]
        size = os.fstat(descriptor).st_size
        if length > size:
            raise ProtocolError(f"memory file {spill} has {size} bytes, not {length}")
        del self._files[spill]
        self._reserves.pop(spill, None)
        return descriptor

    def holds(self, spill: int, length: int, slot: int, number: int) -> bool:
        """
        Whether a file has so many bytes of connection ``number``, which the worker in ``slot`` had
        last.
        """
        if spill not in self._files:
            return False
        descriptor, owner = self._files[spill]
        if self._kept.get(number) != spill and (owner != slot or slot == NO_SLOT):
            return False
        return length <= os.fstat(descriptor).st_size <= LARGEST

    def pass_on(self, spill: int, number: int, slot: int) -> int:
        """Return the descriptor of a file that belongs to the worker in ``slot`` from now on."""
        descriptor, _ = self._files[spill]
        self._kept.pop(number, None)
        self._files[spill] = (descriptor, slot)
        self._reserves.pop(spill, None)
        return descriptor

    def close(self, spill: int) -> None:
        """Close a file."""
        self._close(self._files.pop(spill)[0])
        self._reserves.pop(spill, None)

    def forget(self, number: int) -> None:
        """Close the file that a dead worker left of connection ``number``, if there is one."""
        spill = self._kept.pop(number, 0)
        if spill in self._files and self._files[spill][1] == NO_SLOT:
            self.close(spill)

    def bury(self, slot: int, kept: Mapping[int, int]) -> None:
        """Close the files of a dead worker but those in ``kept``, which belong to a connection each."""
        for spill, (descriptor, owner) in list(self._files.items()):
            if owner != slot:
                continue
            if spill in kept:
                self._files[spill] = (descriptor, NO_SLOT)
                self._reserves.pop(spill, None)
                self._kept[kept[spill]] = spill
            else:
                self.close(spill)

    def _check(self, spill: int, slot: int) -> None:
        if self._files.get(spill, (0, NO_SLOT))[1] != slot:
            raise ProtocolError(f"memory file {spill} is not its own")
