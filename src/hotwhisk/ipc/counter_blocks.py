"""
The blocks of counters in shared memory, one for each worker slot; see `hotwhisk.ipc.counters`.

A block has a page of its own. So only the blocks of workers that answered something cost memory,
and a block that is cleared costs none any more.
"""

from __future__ import annotations

from mmap import MADV_REMOVE, PAGESIZE, mmap

from hotwhisk.ipc.counters import WORDS

BLOCK_SIZE = max(8 * WORDS, PAGESIZE)
"""Bytes from one block to the next."""


class CounterBlocks:
    """The blocks in ``table``, from byte ``begin`` on, which is the first of a page."""

    def __init__(self, table: mmap, begin: int) -> None:
        self._table = table
        self._begin = begin

    def block(self, slot: int) -> memoryview:
        """Return the words of the worker in ``slot``."""
        at = self._begin + slot * BLOCK_SIZE
        return memoryview(self._table)[at : at + 8 * WORDS].cast("Q")

    def clear(self, slot: int) -> None:
        """Set all words of a slot to 0, and give their page back if the system takes it."""
        at = self._begin + slot * BLOCK_SIZE
        try:
            self._table.madvise(MADV_REMOVE, at, BLOCK_SIZE)
        except OSError:
            self._table[at : at + 8 * WORDS] = bytes(8 * WORDS)
