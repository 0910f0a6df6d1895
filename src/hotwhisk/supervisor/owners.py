"""
Who holds each connection: a worker, or nobody.

Pure bookkeeping, kept apart so that one rule can be checked in one place: a connection has one
holder at a time. A connection that nobody holds waits with the supervisor, which keeps a
duplicate of every socket and reads none.
"""

from __future__ import annotations


class Owners:
    """
    The holders of all connections.

    ``waiting`` can go to any worker; ``parked`` have a whole ``/run`` read and can go only to a
    worker with an action; ``lent`` sent an ``/init`` that is being carried out.
    """

    def __init__(self) -> None:
        self._owner: dict[int, int] = {}
        self._owned: dict[int, set[int]] = {}
        self.waiting: dict[int, None] = {}
        self.parked: dict[int, None] = {}
        self.init_pending: set[int] = set()

    def __len__(self) -> int:
        return len(self._owner) + len(self.waiting) + len(self.parked) + len(self.init_pending)

    def __contains__(self, number: int) -> bool:
        return (
            number in self._owner
            or number in self.waiting
            or number in self.parked
            or number in self.init_pending
        )

    def owner(self, number: int) -> int | None:
        """Return the worker that holds a connection; None if no worker does."""
        return self._owner.get(number)

    def is_held(self, number: int) -> bool:
        """Return whether a worker holds a connection."""
        return number in self._owner

    def owned(self, worker: int) -> frozenset[int]:
        """Return the connections that a worker holds."""
        return frozenset(self._owned.get(worker, ()))

    def count(self, worker: int) -> int:
        """Return how many connections a worker holds."""
        return len(self._owned.get(worker, ()))

    def assign(self, number: int, worker: int) -> None:
        """Record that a worker holds the connection from now on."""
        if number in self:
            self.remove(number)
        self._owner[number] = worker
        self._owned.setdefault(worker, set()).add(number)

    def queue(self, number: int, *, parked: bool = False) -> None:
        """Record that no worker holds the connection, and that it waits."""
        self.remove(number)
        (self.parked if parked else self.waiting)[number] = None

    def set_init_pending(self, number: int) -> None:
        """Record that the ``/init`` of the connection is being carried out."""
        self.remove(number)
        self.init_pending.add(number)

    def remove(self, number: int) -> None:
        """Forget a connection that is closed, or that is about to get another holder."""
        worker = self._owner.pop(number, None)
        if worker is not None:
            self._owned[worker].discard(number)
        self.waiting.pop(number, None)
        self.parked.pop(number, None)
        self.init_pending.discard(number)

    def remove_worker(self, worker: int) -> None:
        """Forget a worker that holds nothing any more."""
        left = self._owned.pop(worker, None)
        assert not left, f"worker {worker} was buried with connections {left}"
