"""
Read the limits and counts of this process's control group: memory, processes.

Both versions of the interface are read. In a container, the path that the kernel states is often a
path of the host. Then the files of the group are at the root of the mount.
"""

from __future__ import annotations

MOUNT = "/sys/fs/cgroup"
FILES = {
    "deaths": ("memory.events", "memory/memory.oom_control"),
    "memory": ("memory.max", "memory/memory.limit_in_bytes"),
    "together": ("memory.oom.group", ""),
    "used": ("memory.current", "memory/memory.usage_in_bytes"),
    "statistics": ("memory.stat", "memory/memory.stat"),
    "processes": ("pids.max", "pids/pids.max"),
}
"""The file for each question in version 2, and in version 1 with its controller."""


def paths() -> dict[str, str]:
    """Return the control group by controller; version 2 has one for all, under an empty name."""
    found: dict[str, str] = {}
    try:
        with open("/proc/self/cgroup") as file:
            for line in file:
                _, controllers, path = line.rstrip("\n").split(":", 2)
                found |= dict.fromkeys(controllers.split(","), path.rstrip("/"))
    except (OSError, ValueError):
        pass
    return found


def find(question: str) -> str:
    """Return the path of the file for a key of `FILES`; empty if it cannot be read."""
    groups = paths()
    second, first = FILES[question]
    controller, _, name = first.partition("/")
    candidates = [f"{MOUNT}{path}/{second}" for path in (groups.get("", ""), "")]
    if name:
        candidates += [
            f"{MOUNT}/{controller}{path}/{name}" for path in (groups.get(controller, ""), "")
        ]
    for candidate in candidates:
        if read(candidate):
            return candidate
    return ""


def read(path: str) -> str:
    """Return the content of a file; empty if it cannot be read."""
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


def oom_kills(path: str = "") -> int:
    """Return how many processes of the control group were killed because memory ran out."""
    for line in read(path or find("deaths")).splitlines():
        name, _, count = line.partition(" ")
        if name == "oom_kill" and count.isdecimal():
            return int(count)
    return 0
