"""
Begin to serve as a worker of a generation, release connections at a recall, and begin again.

A worker that was recalled with ``drain`` reads nothing more. It exits when its last answer is sent,
or, with ``keep``, waits: its version may become current again, under another number.
"""

from __future__ import annotations

from collections.abc import Callable

from hotwhisk.ipc.messages import RELEASED_AT_ONCE, Recall, Released, Restore
from hotwhisk.worker.own_process import exit_gracefully

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.worker.connections import Connections


def begin(connections: Connections, generation: int, digest: str) -> None:
    """Name the generation in every response from now on, and count as one of its workers."""
    connections.headers = b"Hotwhisk-Generation: %d %s\r\n" % (generation, digest.encode())
    connections.counters.count_for_action()


def follow_recall(
    connections: Connections,
    recall: Recall,
    release_message: Callable[[list[list[int]]], Released],
) -> None:
    """Release what is not running. ``release_message`` makes the last message about that."""
    released = [[each.number, each.epoch] for each in connections.follow_recall()]
    while len(released) > RELEASED_AT_ONCE:
        connections.channel.send(Released(released[:RELEASED_AT_ONCE]))
        del released[:RELEASED_AT_ONCE]
    connections.channel.send(release_message(released))
    connections.draining = connections.draining or recall.drain
    if recall.keep:
        connections.exit = _wait
    elif connections.exit is _wait:
        connections.exit = exit_gracefully
    connections.exit_if_drained()


def begin_again(connections: Connections, restore: Restore) -> None:
    """Serve again after a recall with ``keep``. The supervisor has what was counted before."""
    connections.draining = False
    connections.exit = exit_gracefully
    connections.counters.begin(connections.place.slot)
    begin(connections, restore.generation, restore.digest)


def _wait() -> None:
    """Do nothing: a kept worker waits for a message."""
