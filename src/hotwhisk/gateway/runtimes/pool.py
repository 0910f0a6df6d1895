"""
Decide which server runs a call, as the platform's pool of containers does.

A call goes to a server of its action that is free. If all are busy, a further one is started, up to
a limit; beyond it, calls wait. A server that had no call for a while is ended.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hotwhisk.platform import Runtime


@dataclass(slots=True, eq=False)
class Slot:
    """A server, and how many calls it has now. ``since`` is when the last one ended."""

    runtime: Runtime
    calls: int = 0
    since: float = field(default_factory=time.monotonic)
    prepared: object = None
    """What the caller keeps with the server, such as the action that was posted to it."""


class Pool:
    """All servers, by the action that they belong to. Any thread may use it."""

    def __init__(self, start: Callable[[], Runtime], *, most: int, most_per_action: int) -> None:
        self._new = start
        self._most = most
        self._most_per_action = most_per_action
        self._slots: dict[Hashable, list[Slot]] = {}
        self._changed = threading.Condition()
        self._closed = False

    @contextmanager
    def lease(self, action: Hashable, concurrency: int = 1) -> Iterator[Slot]:
        """Lend a server of an action, which has at most ``concurrency`` calls at a time."""
        slot, evicted = self._take(action, concurrency)
        if evicted is not None:
            evicted.runtime.stop()
        try:
            yield slot
        finally:
            with self._changed:
                slot.calls -= 1
                slot.since = time.monotonic()
                self._changed.notify_all()

    def end_idle(self, seconds: float) -> None:
        """End the servers that had no call for so long."""
        latest = time.monotonic() - seconds
        with self._changed:
            ended = [slot for slot in self._idle() if slot.since <= latest]
            for slot in ended:
                self._remove(slot)
        for slot in ended:
            slot.runtime.stop()

    def end(self, action: Hashable) -> None:
        """End the idle servers of an action that is deleted."""
        with self._changed:
            ended = [slot for slot in self._slots.get(action, []) if not slot.calls]
            for slot in ended:
                self._remove(slot)
        for slot in ended:
            slot.runtime.stop()

    def close(self) -> None:
        """End all servers."""
        with self._changed:
            self._closed = True
            slots = [slot for slots in self._slots.values() for slot in slots]
            self._slots.clear()
            self._changed.notify_all()
        for slot in slots:
            slot.runtime.stop()

    def servers(self) -> dict[Hashable, int]:
        """Return how many servers each action has."""
        with self._changed:
            return {action: len(slots) for action, slots in self._slots.items()}

    def _take(self, action: Hashable, concurrency: int) -> tuple[Slot, Slot | None]:
        """Wait for a server; return it, and one that must be ended in its place."""
        with self._changed:
            while (found := self._choose(action, concurrency)) is None:
                self._changed.wait()
            found[0].calls += 1
            return found

    def _choose(self, action: Hashable, concurrency: int) -> tuple[Slot, Slot | None] | None:
        if self._closed:
            raise RuntimeError("the gateway is shutting down")
        slots = self._slots.get(action, [])
        free = [slot for slot in slots if slot.calls < concurrency]
        if free:
            return max(free, key=lambda each: each.since), None
        if len(slots) >= self._most_per_action or (place := self._make_place()) is None:
            return None
        slot = Slot(self._new())
        self._slots.setdefault(action, []).append(slot)
        return slot, place[0]

    def _make_place(self) -> tuple[Slot | None] | None:
        """Return the idle server that must end for a new one, if any; None if all are busy."""
        if sum(map(len, self._slots.values())) < self._most:
            return (None,)
        idle = min(self._idle(), key=lambda each: each.since, default=None)
        if idle is None:
            return None
        self._remove(idle)
        return (idle,)

    def _idle(self) -> Iterator[Slot]:
        return (slot for slots in self._slots.values() for slot in slots if not slot.calls)

    def _remove(self, slot: Slot) -> None:
        for action, slots in list(self._slots.items()):
            if slot in slots:
                slots.remove(slot)
                if not slots:
                    del self._slots[action]
