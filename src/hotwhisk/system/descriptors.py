"""
Keep descriptors open that something else than their owner needs: queued messages, and libffi.

A message that waits for room in a socket keeps the descriptors that travel with it. Their owner may
close them meanwhile. Duplicates would need further descriptors at a time when there may be none. So
a queue says which descriptors it uses. If an owner closes one of them, it is closed after its last
use.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable

LIBFFI = "/libffi.so"
"""
Part of the path of a file that ctypes keeps open on newer systems. libffi maps the code of further
callbacks from it. If its descriptor meant another file, the code would be that file's content.
"""

HIGHEST = 1 << 20


def of_libffi() -> list[int]:
    """Return the descriptors of this process that libffi keeps open."""
    found = []
    for entry in os.listdir("/proc/self/fd"):
        try:
            if LIBFFI in os.readlink(f"/proc/self/fd/{entry}"):
                found.append(int(entry))
        except OSError:  # the listing itself
            continue
    return found


def close_others(kept: Iterable[int]) -> None:
    """Close all descriptors but the standard streams and ``kept`` ones."""
    first = 3
    for descriptor in sorted(kept):
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, HIGHEST)


class Descriptors:
    """The descriptors of one process that queues use."""

    def __init__(self) -> None:
        self._uses: Counter[int] = Counter()
        self._closing: set[int] = set()

    def use(self, descriptors: Iterable[int]) -> None:
        """Keep descriptors open until they are released."""
        self._uses.update(descriptors)

    def release(self, descriptors: Iterable[int]) -> None:
        """End a use of descriptors; close those that their owner has closed meanwhile."""
        for each in descriptors:
            self._uses[each] -= 1
            if not self._uses[each]:
                del self._uses[each]
                if each in self._closing:
                    self._closing.remove(each)
                    os.close(each)

    def close(self, descriptor: int) -> None:
        """Close a descriptor as soon as no queue uses it."""
        if descriptor in self._uses:
            self._closing.add(descriptor)
        else:
            os.close(descriptor)
