"""Compare what a process has in memory with what the control group's limit leaves."""

from __future__ import annotations

import sys

from hotwhisk.system import control_group
from hotwhisk.system.children import children

KEPT_FREE = 0.1
"""The part of the limit that stays free, for handlers that need more later."""


class FreeMemory:
    """The memory that the limit of this process's control group leaves."""

    def __init__(self) -> None:
        self._files = {each: control_group.find(each) for each in ("memory", "used", "statistics")}

    def room_for(self, pid: int) -> int:
        """Return how many further processes like ``pid``, with children, the limit has room for."""
        limit, used = self._read("memory"), self._read("used")
        if not limit.isdecimal() or not used.isdecimal():
            return sys.maxsize  # no limit
        free = int(limit) * (1 - KEPT_FREE) - int(used) + self._cache()
        return max(0, int(free)) // max(1, own_memory(pid))

    def _read(self, question: str) -> str:
        return control_group.read(self._files[question])

    def _cache(self) -> int:
        """Return the bytes of cached files: they count as used, but the kernel can free them."""
        values = dict(line.split() for line in self._read("statistics").splitlines())
        return int(values.get("total_inactive_file", values.get("inactive_file", 0)))


def own_memory(pid: int) -> int:
    """
    Return the bytes that a process and its children share with no other process.

    What it had at its peak, and has no more, is counted too: a process like it will need that.
    """
    status = _sizes(f"/proc/{pid}/status")
    peak = max(0, status.get("VmHWM", 0) - status.get("VmRSS", 0))
    details = _sizes(f"/proc/{pid}/smaps_rollup")
    own = details.get("Private_Dirty", status.get("VmRSS", 0)) + details.get("Swap", 0)
    return own + peak + sum(map(own_memory, children(pid)))


def _sizes(path: str) -> dict[str, int]:
    """Return the sizes in bytes that a file of the kernel has in lines such as ``Rss: 4 kB``."""
    lines = [line.split() for line in control_group.read(path).splitlines()]
    return {words[0][:-1]: 1024 * int(words[1]) for words in lines if words[-1:] == ["kB"]}
