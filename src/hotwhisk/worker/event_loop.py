"""
Wait for descriptors, by epoll alone or in an asyncio loop.

epoll alone is enough for a synchronous handler. If the handler is a coroutine function, the worker
waits in asyncio's loop. It is then the only loop in the process, for the action's tasks and ours.
The import of asyncio takes 40 ms, so it is imported for such an action only.

A handler that is not a coroutine function may also return an awaitable. For example, a decorator,
a lambda or an object may stand in between. The worker knows this only when the handler has
returned. So such a handler is called like any other, one request at a time. Its awaitable is run to
its end.
"""

from __future__ import annotations

from fcntl import F_DUPFD_CLOEXEC, fcntl
from os import getpid
from select import EPOLLIN, EPOLLOUT, epoll

from hotwhisk.action.isolation import server_modules
from hotwhisk.action.signal_guard import enters_action, print_stray
from hotwhisk.worker.own_process import end_copy, fail

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable
    from types import CodeType
    from typing import Any, TypeVar

    from hotwhisk.system.loop_protocol import Callback, Loop

    T = TypeVar("T")

WAITS = ("EpollLoop.run", "EpollSelector.select")
"""The functions that wait for descriptors: ours, and that of asyncio."""

INTERRUPTIBLE: set[CodeType] = set()
"""
Functions that can be interrupted in their own lines without loss.

The event that they were called for is reported again.
"""


def _did_no_harm(error: BaseException) -> bool:
    """
    Return whether an exception came from outside and did no harm.

    Such an exception hit the caller's frame, or the first or last lines of a callback.
    """
    inner = error.__traceback__.tb_next if error.__traceback__ is not None else None
    return inner is None or (inner.tb_next is None and inner.tb_frame.f_code in INTERRUPTIBLE)


def _cannot_wait(error: BaseException) -> bool:
    """
    Return whether the system refused to wait, so that it would refuse again.

    For example, the action has closed or replaced the descriptor of epoll, or memory has run out.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    waited = trace is not None and trace.tb_frame.f_code.co_qualname in WAITS
    refused = isinstance(error, MemoryError) or getattr(error, "errno", None) is not None
    return waited and refused


def exit_on_error(callback: Callback) -> Callback:
    """
    Return a callback that ends the process if the given one raises an exception.

    asyncio would log the exception and continue. The claim would stay in the scoreboard, and the
    client would get no response.
    """

    def run() -> None:
        try:
            callback()
        except BaseException as error:  # noqa: BLE001 - the outermost frame of ours
            if not _did_no_harm(error):
                fail()
            print_stray(error, "the action")

    return run


class EpollLoop:
    """Waits by epoll, in a spare and for a synchronous action."""

    def __init__(self, lowest: int) -> None:
        """Open an epoll descriptor with a number from ``lowest`` on, away from the action's."""
        self._epoll = epoll()
        high = fcntl(self._epoll.fileno(), F_DUPFD_CLOEXEC, lowest)
        self._epoll.close()
        self._epoll = epoll.fromfd(high)
        self.callbacks: dict[int, Callback] = {}
        self.writing: set[int] = set()

    def watch(self, descriptor: int, callback: Callback) -> None:
        """See `Loop`."""
        self._set(descriptor, EPOLLIN, callback)

    def watch_writable(self, descriptor: int, callback: Callback) -> None:
        """See `Loop`."""
        self._set(descriptor, EPOLLOUT, callback)

    def _set(self, descriptor: int, events: int, callback: Callback) -> None:
        if descriptor in self.callbacks:
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.register(descriptor, events)
        self.callbacks[descriptor] = callback
        (self.writing.add if events == EPOLLOUT else self.writing.discard)(descriptor)

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
        """
        See `Loop`. Return when the loop is closed.

        Raises:
            OSError: the system refuses to wait.
        """
        poll, callbacks = self._epoll.poll, self.callbacks
        while not self._epoll.closed:
            try:
                for descriptor, _ in poll():
                    # Missing if an earlier callback of this batch unwatched it.
                    callback = callbacks.get(descriptor)
                    if callback is not None:
                        callback()
            except BaseException as error:
                if _cannot_wait(error) or not _did_no_harm(error):
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
        self.asyncio.add_reader(descriptor, exit_on_error(callback))
        self._reading.add(descriptor)

    def watch_writable(self, descriptor: int, callback: Callback) -> None:
        """See `Loop`."""
        self.unwatch(descriptor)
        self.asyncio.add_writer(descriptor, exit_on_error(callback))
        self._writing.add(descriptor)

    def unwatch(self, descriptor: int) -> None:
        """See `Loop`."""
        if descriptor in self._reading:
            self._reading.discard(descriptor)
            self.asyncio.remove_reader(descriptor)
        if descriptor in self._writing:
            self._writing.discard(descriptor)
            self.asyncio.remove_writer(descriptor)

    async def within(self, seconds: float, awaitable: Awaitable[T]) -> T:
        """Await for so many seconds at most; if they pass, cancel it and raise TimeoutError."""
        with server_modules():  # the action may have a module of that name
            from asyncio import wait_for
        return await wait_for(awaitable, seconds)

    def run(self) -> None:
        """See `Loop`. Return if the action stops the loop, for example by `sys.exit` in a task."""
        try:
            self.asyncio.run_forever()
        except BaseException as error:  # noqa: BLE001 - as a rule the exception is the action's
            if _cannot_wait(error):
                fail()
            print_stray(error, "the action")


def move_into_asyncio(old: EpollLoop) -> AsyncioLoop:
    """Return an asyncio loop that watches what ``old`` did; close ``old``, which ends its `run`."""
    loop = AsyncioLoop(new_asyncio())
    for descriptor, callback in old.callbacks.items():
        watch = loop.watch_writable if descriptor in old.writing else loop.watch
        watch(descriptor, callback)
    old.close()
    return loop


class _OwnLoop:
    """Holds the loop of this process. Objects that an action opened in it remain usable."""

    loop: asyncio.AbstractEventLoop | None = None


@enters_action
def run_to_end(awaitable: Any) -> object:
    """
    Run an awaitable while no loop runs, and return its result.

    A future is run in its own loop. Any other awaitable is run in a loop that is kept for the life
    of the process. Between two calls no loop runs, so a handler may call ``asyncio.run``.
    """
    own = getattr(awaitable, "get_loop", None)
    if own is not None:
        return own().run_until_complete(awaitable)
    if _OwnLoop.loop is None or _OwnLoop.loop.is_closed():
        _OwnLoop.loop = new_asyncio()
    return _OwnLoop.loop.run_until_complete(await_and_end_copies(awaitable))


def finish(loop: Loop, awaitable: Any) -> object:
    """
    Run an awaitable that a function with ``@on_startup`` returned, and return its result.

    If the handler is asynchronous, ``loop`` is its loop, and the awaitable runs there. Otherwise it
    runs in a loop of its own, because a plain handler must find no loop running.
    """
    if isinstance(loop, AsyncioLoop):
        return loop.asyncio.run_until_complete(await_and_end_copies(awaitable))
    return run_to_end(awaitable)


async def await_and_end_copies(awaitable: Any) -> object:
    """
    Await an awaitable, and end each copy of this process that it forked.

    In a child, asyncio's loop of Python 3.14 reports errors, and after a ``sys.exit`` it never
    ends.
    """
    pid = getpid()
    try:
        return await awaitable
    finally:
        end_copy(pid)


def new_asyncio() -> asyncio.AbstractEventLoop:
    """Return a new asyncio loop, and make it the current loop."""
    with server_modules():  # the action may have a module of that name
        import asyncio

        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
    return loop
