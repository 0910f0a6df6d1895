"""Compute how many descriptors, and so how many connections, the system's limits allow."""

from __future__ import annotations

import resource

from hotwhisk.errors import StartError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.config.config import Config

MOST_DESCRIPTORS = 65536
MOST_CONNECTIONS = 16384
FEWEST_CONNECTIONS = 8
SERVER_DESCRIPTORS = 32
"""Descriptors for the server itself: its sockets, the spare, templates, artifacts that wait."""

WORKER_DESCRIPTORS = 8
"""
Descriptors for each of the least ``--workers``: channel, pidfd, an idle spill and a reserve.

The same number is needed again while the worker is replaced. Further workers start only where
descriptors are free.
"""

PROCESS_DESCRIPTORS = 3
"""Descriptors for each worker process, draining ones too: channel, pidfd, reserve."""

OUTPUT_DESCRIPTORS = 2
"""Further descriptors for each worker process if the log is JSON: the pipes of its output."""

MARGIN_CONNECTIONS = 4
"""Connections for which descriptors are left when a replacement begins."""


def capacity(config: Config) -> int:
    """
    Return how many connections the server can have.

    Each may need three descriptors: its socket, a spill file, and one while it moves to another
    worker.

    Raises:
        StartError: there are too few descriptors for a single connection.
    """
    most, (soft, _) = limits(config.workers.least)
    if config.json_log:  # beside each worker there is one that takes its place
        most -= 2 * OUTPUT_DESCRIPTORS * config.workers.least
    raise_open_files()
    if most < FEWEST_CONNECTIONS:
        raise StartError(f"the limit of {soft} open files is too low; raise it: ulimit -n 1024")
    return min(most, config.connections or most)


def room_beside(processes: int, workers: int, limit: int) -> int:
    """
    Return how many connections have room beside the worker processes.

    ``limit`` is the limit of open files. Each connection may need a memory file beside its socket.
    A draining worker needs none, because it is busy with a request that it has read.
    """
    draining = max(0, processes - 2 * workers - 1)
    return (limit - SERVER_DESCRIPTORS - PROCESS_DESCRIPTORS * processes + draining) // 2


def limits(workers: int) -> tuple[int, tuple[int, int]]:
    """
    Return the number of connections that the limit of open files allows beside so many workers.

    It counts with the limit that the server sets itself. Return also the limits that it found.
    """
    wanted, (soft, hard) = _open_files()
    left = max(soft, wanted) - SERVER_DESCRIPTORS - WORKER_DESCRIPTORS * workers
    return min(MOST_CONNECTIONS, left // 3), (soft, hard)


def raise_open_files() -> None:
    """Raise the limit of open files of this process as far as the system allows it."""
    wanted, (soft, hard) = _open_files()
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _open_files() -> tuple[int, tuple[int, int]]:
    """Return the limit that `raise_open_files` sets, and the soft and the hard one that are set."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    return wanted, (soft, hard)
