"""
Wait for descriptors, by epoll alone or in an asyncio loop.

epoll alone is enough for a synchronous handler. If the handler is a coroutine function, the worker
waits in asyncio's loop. It is then the only loop in the process, for the action's tasks and ours.
The import of asyncio takes 40 ms, so it is imported for such an action only.
"""

from __future__ import annotations

import fcntl
import select
from typing import TYPE_CHECKING

from hotwhisk.action.signals import print_stray
from hotwhisk.worker.awaiting import new_asyncio
from hotwhisk.worker.process import fail

if TYPE_CHECKING:
    import asyncio
    from types import CodeType

    from hotwhisk.system.loop import Callback

REPEATABLE: set[CodeType] = set()
"""
Functions that can be interrupted in their own lines without loss.

The event that they were called for is reported again.
"""


def _is_repeatable(error: BaseException) -> bool:
    """
    Return whether an exception came from outside and did no harm.

    Such an exception hit the caller's frame, or the first or last lines of a callback.
    """
    inner = error.__traceback__.tb_next if error.__traceback__ is not None else None
    return inner is None or (inner.tb_next is None and inner.tb_frame.f_code in REPEATABLE)


def fatal(callback: Callback) -> Callback:
    """
    Return a callback that ends the process if the given one raises an exception.

    asyncio would log the exception and continue. The claim would stay in the scoreboard, and the
    client would get no response.
    """

    def run() -> None:
        try:
            callback()
        except BaseException as error:  # noqa: BLE001 - the outermost frame of ours
            if not _is_repeatable(error):
                fail()
            print_stray(error, "the action")

    return run


class EpollLoop:
    """Waits by epoll, in a spare and for a synchronous action."""

    def __init__(self, lowest: int) -> None:
        """Open an epoll descriptor with a number from ``lowest`` on, away from the action's."""
        self._epoll = select.epoll()
        high = fcntl.fcntl(self._epoll.fileno(), fcntl.F_DUPFD_CLOEXEC, lowest)
        self._epoll.close()
        self._epoll = select.epoll.fromfd(high)
        self.callbacks: dict[int, Callback] = {}
        self.writing: set[int] = set()

    def watch(self, descriptor: int, callback: Callback) -> None:
        """See `Loop`."""
        self._set(descriptor, select.EPOLLIN, callback)

    def watch_writable(self, descriptor: int, callback: Callback) -> None:
        """See `Loop`."""
        self._set(descriptor, select.EPOLLOUT, callback)

    def _set(self, descriptor: int, events: int, callback: Callback) -> None:
        if descriptor in self.callbacks:
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.register(descriptor, events)
        self.callbacks[descriptor] = callback
        (self.writing.add if events == select.EPOLLOUT else self.writing.discard)(descriptor)

    def unwatch(self, descriptor: int) -> None:
        """See `Loop`."""
        if self.callbacks.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def descriptors(self) -> set[int]:
        """Return the loop's own descriptor and all descriptors that it watches."""
        return {self._epoll.fileno(), *self.callbacks}

    def close(self) -> None:
        """Close the loop. The next loop can still read ``callbacks``."""
        self._epoll.close()

    def run(self) -> None:
        """See `Loop`. Return when the loop is closed."""
        poll, callbacks = self._epoll.poll, self.callbacks
        while not self._epoll.closed:
            try:
                for descriptor, _ in poll():
                    # Missing if an earlier callback of this batch unwatched it.
                    callback = callbacks.get(descriptor)
                    if callback is not None:
                        callback()
            except BaseException as error:
                if not _is_repeatable(error):
                    raise
                print_stray(error, "the action")  # the poll finds the other events again


class AsyncioLoop:
    """Waits in an asyncio loop, for an action whose handler is a coroutine function."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.asyncio = loop
        self._writing: set[int] = set()
        self._reading: set[int] = set()

    def watch(self, descriptor: int, callback: Callback) -> None:
        """See `Loop`."""
        self.unwatch(descriptor)
        self.asyncio.add_reader(descriptor, fatal(callback))
        self._reading.add(descriptor)

    def watch_writable(self, descriptor: int, callback: Callback) -> None:
        """See `Loop`."""
        self.unwatch(descriptor)
        self.asyncio.add_writer(descriptor, fatal(callback))
        self._writing.add(descriptor)

    def unwatch(self, descriptor: int) -> None:
        """See `Loop`."""
        if descriptor in self._reading:
            self._reading.discard(descriptor)
            self.asyncio.remove_reader(descriptor)
        if descriptor in self._writing:
            self._writing.discard(descriptor)
            self.asyncio.remove_writer(descriptor)

    def run(self) -> None:
        """See `Loop`. Return if the action stops the loop, for example by `sys.exit` in a task."""
        try:
            self.asyncio.run_forever()
        except BaseException as error:  # noqa: BLE001 - the exception is the action's
            print_stray(error, "the action")


def move_into_asyncio(old: EpollLoop) -> AsyncioLoop:
    """Return an asyncio loop that watches the same descriptors; close ``old``, so its `run` ends."""
    loop = AsyncioLoop(new_asyncio())
    for descriptor, callback in old.callbacks.items():
        watch = loop.watch_writable if descriptor in old.writing else loop.watch
        watch(descriptor, callback)
    old.close()
    return loop
