"""Limits of memory on real processes, by whichever method this machine permits."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress

from hotwhisk.gateway.runtimes.memory_limits import MemoryLimit, MemoryLimits

EAT = """
from hotwhisk.gateway.runtimes.memory_limits import MemoryLimit
MemoryLimit({group!r}, {data}).enter()
kept = [b"x" * (1 << 20) for _ in range({megabytes})]
"""


def eat(limit: MemoryLimit, megabytes: int) -> int:
    """Return the status of a process that needs so much memory under a limit."""
    source = EAT.format(group=limit.group, data=limit.data, megabytes=megabytes)
    command = [sys.executable, "-c", source]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode


def test_a_process_cannot_use_more() -> None:
    limits = MemoryLimits()
    limit = limits.create(64)
    assert eat(limit, 20) == 0
    assert not limit.exhausted()
    assert eat(limit, 1000) != 0
    assert limit.exhausted() == bool(limit.group)
    limits.remove(limit)
    assert not os.path.exists(limit.group)


def test_a_limit_of_the_process_needs_no_control_group() -> None:
    limit = MemoryLimit(data=64 << 20)
    assert eat(limit, 1000) != 0
    assert not limit.exhausted()


def test_a_limit_that_the_kernel_refuses_leaves_no_group() -> None:
    limits = MemoryLimits()
    with suppress(OSError):  # a limit of the process is refused when it is set
        limits.create(-5)
    limit = limits.create(64)
    above, name = os.path.split(limit.group or "/nowhere/none")
    own = f"hotwhisk-{os.getpid()}-"
    groups = os.listdir(above) if limit.group else []
    assert [each for each in groups if each.startswith(own)] == [name] * bool(limit.group)
    limits.remove(limit)


def test_what_a_killed_gateway_left_is_removed() -> None:
    source = (
        "from hotwhisk.gateway.runtimes.memory_limits import MemoryLimits\n"
        "print(MemoryLimits().create(64).group)"
    )
    left = subprocess.run([sys.executable, "-c", source], stdout=subprocess.PIPE, check=True)
    MemoryLimits()
    assert not os.path.exists(left.stdout.decode().strip() or "/nowhere")


def test_groups_of_a_gateway_with_the_same_process_id_are_removed() -> None:
    earlier = MemoryLimits().create(64)
    again = MemoryLimits()
    assert not os.path.exists(earlier.group or "/nowhere")
    limit = again.create(64)
    assert limit.group == earlier.group
    again.remove(limit)
