"""Compare what a process has in memory with what the control group's limit leaves."""

from __future__ import annotations

import sys

from hotwhisk.record import Record
from hotwhisk.system import control_group
from hotwhisk.system.children import children

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

KEPT_FREE = 0.1
"""The part of the limit that stays free, for handlers that need more later."""


class FreeMemory:
    """The memory that the limit of this process's control group leaves."""

    def __init__(self) -> None:
        self._files = {each: control_group.find(each) for each in ("memory", "used", "statistics")}

    def room_for(self, pids: Collection[int]) -> int:
        """
        Return how many further processes like these the limit has room for.

        Each of these may need as much as the one that has needed most, with its children. What it
        does not have now is kept for it.
        """
        limit, used = self._read("memory"), self._read("used")
        if not limit.isdecimal() or not used.isdecimal():
            return sys.maxsize  # no limit
        found = [own_memory(pid) for pid in pids]
        most = max(1, *(each.most for each in found))
        kept = sum(most - each.now for each in found)
        free = int(limit) * (1 - KEPT_FREE) - int(used) + self._cache() - kept
        return max(0, int(free)) // most

    def _read(self, question: str) -> str:
        return control_group.read(self._files[question])

    def _cache(self) -> int:
        """Return the bytes of cached files: they count as used, but the kernel can free them."""
        values = dict(line.split() for line in self._read("statistics").splitlines())
        return int(values.get("total_inactive_file", values.get("inactive_file", 0)))


class OwnMemory(Record):
    """The bytes that a process and its children share with no other: now, and at their peaks."""

    now: int
    most: int


def own_memory(pid: int) -> OwnMemory:
    """Return what a process and its children share with no other; nothing for the process 0."""
    if not pid:
        return OwnMemory(0, 0)
    status = _sizes(f"/proc/{pid}/status")
    below = max(0, status.get("VmHWM", 0) - status.get("VmRSS", 0))
    details = _sizes(f"/proc/{pid}/smaps_rollup")
    now = details.get("Private_Dirty", status.get("VmRSS", 0)) + details.get("Swap", 0)
    each = [own_memory(child) for child in children(pid)]
    return OwnMemory(
        now + sum(child.now for child in each), now + below + sum(child.most for child in each)
    )


def _sizes(path: str) -> dict[str, int]:
    """Return the sizes in bytes that a file of the kernel has in lines such as ``Rss: 4 kB``."""
    lines = [line.split() for line in control_group.read(path).splitlines()]
    return {words[0][:-1]: 1024 * int(words[1]) for words in lines if words[-1:] == ["kB"]}
