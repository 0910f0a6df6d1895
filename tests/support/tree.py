"""
Read /proc about a process and everything below it.

Numbers are of one moment: a process that ends while it is being read counts as gone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")


def processes() -> dict[int, int]:
    """Return every living process with its parent, without zombies."""
    found: dict[int, int] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := stat(int(entry.name))) and fields[0] not in "ZX":
            found[int(entry.name)] = int(fields[1])
    return found


def stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the state on, or None if the process has ended."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def children(pid: int) -> list[int]:
    """Return the children of a process, zombies too."""
    text = (PROC / str(pid) / "task" / str(pid) / "children").read_text(encoding="ascii")
    return [int(child) for child in text.split()]


def is_zombie(pid: int) -> bool:
    """Return whether a process has ended and is not reaped yet, or is gone."""
    return (stat(pid) or "Z")[0] == "Z"


def below(root: int) -> set[int]:
    """Return ``root`` and all its living descendants."""
    parents = processes()
    found = {root} & parents.keys()
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return found


def marked(mark: str) -> set[int]:
    """
    Return living processes with ``mark`` in their first environment, whatever their parent
    is now.
    """
    needle = mark.encode()
    found = set()
    for pid in processes():
        try:
            if needle in (PROC / str(pid) / "environ").read_bytes():
                found.add(pid)
        except OSError:
            continue
    return found


def pss(pids: Iterable[int]) -> int:
    """Return the proportional memory of these processes together, in bytes."""
    return sum(_rollup(pid, "Pss") for pid in pids)


def anonymous(pids: Iterable[int]) -> int:
    """
    Return the memory of these processes that is no file's, in bytes; a shared page counts once.

    It is most of what a container's control group is charged for.
    """
    return sum(_rollup(pid, "Pss_Anon") + _rollup(pid, "Pss_Shmem") for pid in pids)


def own_memory(pids: Iterable[int]) -> int:
    """
    Return the memory of these processes that is no file's, in bytes; a shared page counts in each.

    So it does not depend on which pages two processes share, which changes with every fork: a
    proportional count differs by megabytes where nothing has grown.
    """
    return sum(_rollup(pid, "Anonymous") + _rollup(pid, "Pss_Shmem") for pid in pids)


def _rollup(pid: int, name: str) -> int:
    try:
        text = (PROC / str(pid) / "smaps_rollup").read_text()
    except OSError:
        return 0
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def descriptors(pid: int) -> list[str]:
    """Return the target of each open descriptor of a process."""
    found = []
    try:
        entries = list((PROC / str(pid) / "fd").iterdir())
    except OSError:
        return []
    for entry in entries:
        try:
            found.append(os.readlink(entry))
        except OSError:
            continue
    return found


def threads(pid: int) -> int:
    """Return the number of threads of a process; 0 if it has ended."""
    fields = stat(pid)
    return int(fields[17]) if fields else 0


def switches(pids: Iterable[int]) -> dict[str, int]:
    """Return voluntary context switches by "pid/thread". A thread that never wakes up adds none."""
    found = {}
    for pid in pids:
        for status in (PROC / str(pid) / "task").glob("*/status"):
            text = status.read_text()
            count = re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.MULTILINE)
            found[f"{pid}/{status.parent.name}"] = int(count[1]) if count else -1
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return user and system time of these processes and of the children they have reaped."""
    ticks = 0
    for pid in pids:
        if fields := stat(pid):
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / TICKS


def peak(pid: int) -> int:
    """Return the highest resident size that a process ever had, in bytes."""
    try:
        text = (PROC / str(pid) / "status").read_text()
    except OSError:
        return 0
    found = re.search(r"^VmHWM:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
