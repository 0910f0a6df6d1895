"""
Decide which server runs a call, as the platform's pool of containers does.

A call goes to a server of its action that is free. If all are busy, a further one is started, up to
a limit for each action and one for all. At the limit for all, the server that was idle longest ends
for it. Otherwise the call waits. Calls are served in the order in which they came; one whose action
is at its own limit holds up no call of another action.

A server with several calls at a time has calls of one version only. Otherwise the ``/init`` of one
version could come between the ``/init`` and the ``/run`` of another.

Calls that wait for one another, such as those of an action that calls itself, may need more servers
than there may be. Then none becomes free, and after `PATIENCE` seconds of that a call is refused.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from hotwhisk.gateway.cancellation import Cancellation, Cancelled
from hotwhisk.platform import Runtime

PATIENCE: Final = 45.0
"""Less than the usual time limit of an action, so that its caller can still learn the reason."""

Server = TypeVar("Server", bound=Runtime)


class NoServer(Exception):
    """No server became free for a call; the text says why, for the user of the action."""


@dataclass(frozen=True, slots=True)
class Need:
    """
    What a call needs: a server of ``action``, shared with calls of this ``version`` only.

    ``action`` is the namespace of the caller and the full name of the action. A server has calls of
    one caller only, because calls that overlap share a log.
    """

    action: tuple[str, str]
    version: Hashable = None
    concurrency: int = 1
    """Most calls that a server of the action has at a time."""


@dataclass(slots=True, eq=False)
class Slot(Generic[Server]):
    """A server, and how many calls it has now. ``since`` is when the last one ended."""

    runtime: Server
    action: tuple[str, str]
    version: Hashable = None
    calls: int = 0
    since: float = field(default_factory=time.monotonic)
    leaving: bool = False
    """Whether the action was deleted."""
    prepared: object = None
    """What the caller keeps with the server, such as the action that was posted to it."""

    @property
    def ends(self) -> bool:
        """Whether it ends after its present calls."""
        return self.leaving or self.runtime.discarded

    def fits(self, need: Need) -> bool:
        """Return whether it can take a call now."""
        if self.ends or self.action != need.action:
            return False
        return not self.calls or (self.calls < need.concurrency and self.version == need.version)


@dataclass(slots=True, eq=False)
class _Waiter(Generic[Server]):
    need: Need
    since: float
    given: Slot[Server] | None = None
    evicted: Slot[Server] | None = None
    ready: threading.Event = field(default_factory=threading.Event)
    left: bool = False
    """Whether the server is not wanted any more."""

    def leave(self) -> None:
        self.left = True
        self.ready.set()


class Pool(Generic[Server]):
    """
    All servers, by the action that they belong to. Any thread may use it.

    ``new`` returns a server that is not started yet.
    """

    def __init__(
        self,
        new: Callable[[], Server],
        *,
        most: int,
        most_per_action: int,
        patience: float = PATIENCE,
    ) -> None:
        self._new = new
        self._most = most
        self._most_per_action = most_per_action
        self._patience = patience
        self._slots: list[Slot[Server]] = []
        self._waiting: list[_Waiter[Server]] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def lease(self, need: Need, cancellation: Cancellation | None = None) -> Iterator[Slot[Server]]:
        """
        Lend a server.

        Raises:
            NoServer: none became free, or the gateway is shutting down.
            Cancelled: ``cancellation`` ended the wait.
        """
        slot, evicted = self._wait(need, cancellation or Cancellation())
        try:
            if evicted is not None:
                evicted.runtime.stop()
            yield slot
        finally:
            with self._lock:
                slot.calls -= 1
                slot.since = time.monotonic()
                ends = slot.ends and not slot.calls
                if ends and slot in self._slots:
                    self._slots.remove(slot)
                self._serve_waiting()
            if ends:
                slot.runtime.stop()

    def end_idle(self, seconds: float) -> None:
        """End the servers that had no call for so long."""
        latest = time.monotonic() - seconds
        self._end(lambda slot: not slot.calls and slot.since <= latest)

    def end(self, path: str) -> None:
        """
        End the servers of an action that is deleted, whose full name is ``path``.

        A busy one ends after its present calls.
        """
        with self._lock:
            for slot in self._slots:
                slot.leaving = slot.leaving or slot.action[1] == path
        self._end(lambda slot: not slot.calls and slot.ends)

    def rename_version(self, need: Need, version: Hashable) -> None:
        """Prefer the servers that have the version of ``need`` for calls of ``version``."""
        with self._lock:
            for slot in self._slots:
                if (slot.action, slot.version) == (need.action, need.version):
                    slot.version = version

    def close(self) -> None:
        """End all servers, and refuse the calls that wait."""
        with self._lock:
            self._closed = True
            for waiter in self._waiting:
                waiter.ready.set()
            self._waiting = []
        self._end(lambda _: True)

    def servers(self) -> dict[tuple[str, str], int]:
        """Return how many servers each action has, by caller and full name."""
        with self._lock:
            found: dict[tuple[str, str], int] = {}
            for slot in self._slots:
                found[slot.action] = found.get(slot.action, 0) + 1
            return found

    def waiting(self) -> int:
        """Return how many calls wait for a server."""
        with self._lock:
            return len(self._waiting)

    def _wait(
        self, need: Need, cancellation: Cancellation
    ) -> tuple[Slot[Server], Slot[Server] | None]:
        """Return a server, which has one call more from now on, and the one that ends for it."""
        waiter: _Waiter[Server] = _Waiter(need, time.monotonic())
        with cancellation.ending(waiter.leave):
            with self._lock:
                if not self._closed:
                    self._waiting.append(waiter)
                    self._serve_waiting()
            while waiter.given is None and not (self._closed or waiter.left):
                if not waiter.ready.wait(waiter.since + self._patience - time.monotonic()):
                    self._give_up(waiter)
        with self._lock:
            if waiter.given is not None:
                return waiter.given, waiter.evicted
            if not self._closed:
                self._waiting.remove(waiter)
                raise Cancelled
        raise NoServer("The server is shutting down.")

    def _give_up(self, waiter: _Waiter[Server]) -> None:
        """Refuse a call if no server became free for its action in all the time."""
        with self._lock:
            if waiter.given is not None or time.monotonic() < waiter.since + self._patience:
                return
            self._waiting.remove(waiter)
            own = sum(slot.action == waiter.need.action for slot in self._slots)
            total = len(self._slots)
        which = "that this action may have" if own >= self._most_per_action else "there may be"
        count = own if own >= self._most_per_action else total
        raise NoServer(
            f"All servers {which} ({count}) are busy, and none became free within "
            f"{self._patience:g} seconds. Does the action call itself and wait for the result? "
            "Each call that waits keeps a server."
        )

    def _serve_waiting(self) -> None:
        """Give servers to the calls that wait, in their order."""
        left: list[_Waiter[Server]] = []
        full: set[Need] = set()
        for waiter in self._waiting:
            if waiter.need in full or not self._give(waiter):
                full.add(waiter.need)
                left.append(waiter)
        self._waiting = left

    def _give(self, waiter: _Waiter[Server]) -> bool:
        need = waiter.need
        free = [slot for slot in self._slots if slot.fits(need)]
        slot = max(free, key=lambda each: (each.version == need.version, each.since), default=None)
        if slot is None:
            own = sum(each.action == need.action for each in self._slots)
            if own >= self._most_per_action or not self._make_place(waiter):
                return False
            slot = Slot(self._new(), need.action)
            self._slots.append(slot)
        slot.version = need.version
        slot.calls += 1
        waiter.given = slot
        waiter.ready.set()
        self._note_progress(need.action)
        return True

    def _note_progress(self, action: tuple[str, str]) -> None:
        """Let the calls behind this one wait longer: the servers of their action do become free."""
        now = time.monotonic()
        for waiter in self._waiting:
            if waiter.need.action == action:
                waiter.since = now

    def _make_place(self, waiter: _Waiter[Server]) -> bool:
        """Make place for one server more, by the end of an idle one if need be."""
        if len(self._slots) < self._most:
            return True
        idle = [slot for slot in self._slots if not slot.calls]
        waiter.evicted = min(idle, key=lambda each: each.since, default=None)
        if waiter.evicted is None:
            return False
        self._slots.remove(waiter.evicted)
        return True

    def _end(self, chosen: Callable[[Slot[Server]], bool]) -> None:
        with self._lock:
            ended = [slot for slot in self._slots if chosen(slot)]
            self._slots = [slot for slot in self._slots if slot not in ended]
            self._serve_waiting()
        for slot in ended:
            slot.runtime.stop()
