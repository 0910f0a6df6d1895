"""
Waiting for descriptors: by epoll alone, or inside an asyncio loop.

A worker with a synchronous handler needs no more than the first. One whose handler is a
coroutine waits in asyncio's loop, which is then the only one in the process: user code finds
its own tasks and ours in the same place. asyncio costs 40 ms to import, so it is imported
only for such an action.
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
    The same callback, whose exceptions end the process. asyncio would log them and go on, with
    a claim in the scoreboard and a client without an answer.
    """

    def run() -> None:
        try:
            callback()
        except BaseException as error:  # noqa: BLE001 - this is the wall at the top of the process
            if not _is_repeatable(error):
                fail()
            print_stray(error, "the action")

    return run


class EpollLoop:
    """The loop of a spare and of a synchronous action."""

    def __init__(self, lowest: int) -> None:
        """``lowest`` is the least number its own descriptor may have (design: ours live high)."""
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
        """Return the loop's own descriptors and all that it watches."""
        return {self._epoll.fileno(), *self.callbacks}

    def close(self) -> None:
        """Close the loop. The callbacks stay readable for its successor."""
        self._epoll.close()

    def run(self) -> None:
        """See `Loop`. Returns when closed."""
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
    """The loop of an action whose handler is a coroutine."""

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
        """See `Loop`. Returns if the action stops or ends the loop, as by `sys.exit` in a task."""
        try:
            self.asyncio.run_forever()
        except BaseException as error:  # noqa: BLE001 - the exception is the action's
            print_stray(error, "the action")


def move_into_asyncio(old: EpollLoop) -> AsyncioLoop:
    """Return an asyncio loop with the same descriptors. ``old`` is closed, so its `run` ends."""
    loop = AsyncioLoop(new_asyncio())
    for descriptor, callback in old.callbacks.items():
        watch = loop.watch_writable if descriptor in old.writing else loop.watch
        watch(descriptor, callback)
    old.close()
    return loop
