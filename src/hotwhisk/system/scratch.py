"""Memory into which is read, and from which all is copied at once."""

from __future__ import annotations

from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap


def scratch_memory(size: int) -> memoryview:
    """
    Return ``size`` bytes that cost no memory until they are written to; see mmap(2).

    A process that is forked has its own copy, and again pays only for what it writes.
    """
    return memoryview(mmap(-1, size, MAP_PRIVATE | MAP_ANONYMOUS))
