"""
Descriptors that a queued message needs longer than their owner does.

A message that waits for room in a socket keeps the descriptors that travel with it, and their owner
may close them meanwhile. Duplicates would need descriptors of their own, just when there may be
none. So a queue says which descriptors it uses, and closing one of those waits for the last use.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable


class Descriptors:
    """The descriptors of one process that are in use by queues."""

    def __init__(self) -> None:
        self._uses: Counter[int] = Counter()
        self._closing: set[int] = set()

    def use(self, descriptors: Iterable[int]) -> None:
        """Keep descriptors open until they are released."""
        self._uses.update(descriptors)

    def release(self, descriptors: Iterable[int]) -> None:
        """End a use; what its owner has closed meanwhile is closed now."""
        for each in descriptors:
            self._uses[each] -= 1
            if not self._uses[each]:
                del self._uses[each]
                if each in self._closing:
                    self._closing.remove(each)
                    os.close(each)

    def close(self, descriptor: int) -> None:
        """Close a descriptor, once nothing uses it any more."""
        if descriptor in self._uses:
            self._closing.add(descriptor)
        else:
            os.close(descriptor)
