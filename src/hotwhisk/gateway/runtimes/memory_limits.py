"""
Limit the memory of a server by a control group, where the gateway may make one.

Version 2 limits only groups beside which no process is in the group above. So the gateway first
moves itself into a group of its own; a systemd unit permits that by ``Delegate=yes``. Version 1
needs root. A control group counts what all processes of a server use together.

Elsewhere RLIMIT_DATA is set. It counts for each process by itself, and counts what is reserved: of
each thread the whole stack, and the buffers of libraries such as OpenBLAS, which start a thread for
each processor. So it is larger than the action's limit by `RESERVED` for each processor.
"""

from __future__ import annotations

import itertools
import os
import resource
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from hotwhisk.system import control_group

CONTROL_GROUP: Final = "control group"
RLIMIT: Final = "RLIMIT_DATA"
RESERVED: Final = 40 << 20
MOST_PROCESSES: Final = 1024
"""Processes and threads of a server, where a control group may limit them. So does the platform."""

_PREFIX: Final = "hotwhisk-"


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """
    The limit of one server: the folder of its control group, or bytes for RLIMIT_DATA.

    The other one is empty, or 0.
    """

    group: str = ""
    data: int = 0

    def enter(self) -> None:
        """Limit this process, and those that it starts from now on."""
        if self.group:
            _write(f"{self.group}/cgroup.procs", "0")
        if self.data:
            resource.setrlimit(resource.RLIMIT_DATA, (self.data, self.data))

    def processes(self) -> list[int]:
        """Return the processes in the group; none if there is no group."""
        found = control_group.read(f"{self.group}/cgroup.procs") if self.group else ""
        return [int(pid) for pid in found.split()]

    def exhausted(self) -> bool:
        """Return whether the kernel has ended a process because the group's memory ran out."""
        return any(
            control_group.oom_kills(f"{self.group}/{name}") > 0
            for name in ("memory.events", "memory.oom_control")
            if self.group
        )


class MemoryLimits:
    """
    Makes limits. Any thread may use it.

    ``method`` says how memory is limited: `CONTROL_GROUP` or `RLIMIT`.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._above = _find()
        self.method = CONTROL_GROUP if self._above else RLIMIT

    def create(self, megabytes: int) -> MemoryLimit:
        """
        Return a limit for a server that is started next.

        Raises:
            OSError: the kernel refuses a control group. None is left.
        """
        size = megabytes << 20
        if not self._above:
            return MemoryLimit(data=size + RESERVED * (os.cpu_count() or 1))
        group = f"{self._above}/{_PREFIX}{os.getpid()}-{next(self._numbers)}"
        os.mkdir(group)
        try:
            _limit(group, size)
        except OSError:
            os.rmdir(group)
            raise
        return MemoryLimit(group=group)

    def remove(self, limit: MemoryLimit) -> None:
        """Remove the control group of a server that has ended, and kill what is left in it."""
        if limit.group:
            _end(limit.group)


def _find() -> str:
    """Return the folder of a control group in which others can be made; empty if there is none."""
    groups = control_group.paths()
    own = control_group.MOUNT + groups.get("", "")
    if "memory" in control_group.read(f"{own}/cgroup.controllers").split():
        return own if _move_below(own) and _can_limit(own) else ""
    for path in (groups.get("memory", ""), ""):  # in a container the path may be one of the host
        own = f"{control_group.MOUNT}/memory{path}"
        if "memory" in groups and os.path.isfile(f"{own}/cgroup.procs"):
            return own if _can_limit(own) else ""
    return ""


def _move_below(own: str) -> bool:
    """Move this process one group down, and have the kernel limit the groups beside it."""
    below = f"{own}/{_PREFIX}gateway"
    try:
        os.makedirs(below, exist_ok=True)
        _write(f"{below}/cgroup.procs", "0")
    except OSError:
        return False
    try:
        _write(f"{own}/cgroup.subtree_control", "+memory")
    except OSError:  # other processes are in our group, such as the shell
        with suppress(OSError):
            _write(f"{own}/cgroup.procs", "0")
            os.rmdir(below)
        return False
    with suppress(OSError):
        _write(f"{own}/cgroup.subtree_control", "+pids")
    return True


def _can_limit(above: str) -> bool:
    """Return whether a group can be made and limited there: a sandbox may refuse it."""
    _remove_groups_of_the_dead(above)
    group = f"{above}/{_PREFIX}{os.getpid()}-0"
    try:
        os.mkdir(group)
    except OSError:
        return False
    try:
        _limit(group, 1 << 30)
    except OSError:
        return False
    else:
        return True
    finally:
        os.rmdir(group)


def _limit(group: str, size: int) -> None:
    """Limit memory with swap to ``size`` bytes, and the number of processes."""
    if os.path.exists(f"{group}/memory.max"):
        _write(f"{group}/memory.max", str(size))
        optional = {"memory.swap.max": 0, "pids.max": MOST_PROCESSES}
    else:
        _write(f"{group}/memory.limit_in_bytes", str(size))
        optional = {"memory.memsw.limit_in_bytes": size}
    for name, value in optional.items():
        with suppress(OSError):  # the kernel counts no swap, or no processes
            _write(f"{group}/{name}", str(value))


def _remove_groups_of_the_dead(above: str) -> None:
    """
    Remove the groups that a killed gateway has left.

    It may have had our process id, in a container that was started again.
    """
    for name in os.listdir(above):
        gateway = name.removeprefix(_PREFIX).partition("-")[0]
        if not name.startswith(_PREFIX) or not gateway.isdecimal():
            continue
        if int(gateway) == os.getpid() or not os.path.exists(f"/proc/{gateway}"):
            _end(f"{above}/{name}")


def _end(group: str) -> None:
    """Kill the processes of a group, and remove it once they have ended, or at the next start."""
    for pid in control_group.read(f"{group}/cgroup.procs").split():
        with suppress(OSError):
            os.kill(int(pid), signal.SIGKILL)
    with suppress(OSError):
        os.rmdir(group)


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)
