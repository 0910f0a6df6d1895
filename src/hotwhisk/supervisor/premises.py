"""What the limits of the system allow a server: how many descriptors, so how many connections."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

from hotwhisk.errors import StartError

if TYPE_CHECKING:
    from hotwhisk.config import Config

MOST_DESCRIPTORS = 65536
MOST_CONNECTIONS = 16384
FEWEST_CONNECTIONS = 8
OWN_DESCRIPTORS = 32
"""What the server needs for itself: its sockets, the desk, templates, artifacts that wait."""

WORKER_DESCRIPTORS = 6
"""For each of ``--workers``: channel, pidfd and an idle spill; and again while it is replaced."""


def capacity(config: Config) -> int:
    """
    How many connections: each may need three descriptors, its socket, a spill, and the room
    that a hand-over takes.

    Raises:
        StartError: too few descriptors for any.
    """
    most, wanted, (soft, hard) = descriptors(config.workers)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if most < FEWEST_CONNECTIONS:
        raise StartError(f"the limit of {soft} open files is too low; raise it: ulimit -n 1024")
    return min(most, config.connections or most)


def descriptors(workers: int) -> tuple[int, int, tuple[int, int]]:
    """
    How many connections the limit of open files is good for beside so many workers, the limit
    that a server sets itself, and the one that it finds.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    left = max(soft, wanted) - OWN_DESCRIPTORS - WORKER_DESCRIPTORS * workers
    return min(MOST_CONNECTIONS, left // 3), wanted, (soft, hard)
