"""
Run awaitables in a worker that has no asyncio loop.

A handler that is not a coroutine function may also return an awaitable. For example, a decorator,
a lambda or an object may stand in between. The worker knows this only when the handler has
returned. So such a handler is called like any other, one request at a time. Its awaitable is run to
its end.
"""

from __future__ import annotations

from os import getpid
from typing import TYPE_CHECKING, Any

from hotwhisk.action.isolation import server_modules
from hotwhisk.action.signals import enters_action
from hotwhisk.worker.process import exit_now, flush

if TYPE_CHECKING:
    import asyncio


class _Kept:
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
    if _Kept.loop is None or _Kept.loop.is_closed():
        _Kept.loop = new_asyncio()
    return _Kept.loop.run_until_complete(alone(awaitable))


async def alone(awaitable: Any) -> object:
    """
    Await an awaitable, and end each copy of this process that it forked.

    In a child, asyncio's loop of Python 3.14 reports errors, and after a ``sys.exit`` it never
    ends.
    """
    pid = getpid()
    try:
        return await awaitable
    finally:
        if getpid() != pid:
            flush()
            exit_now(0)


def new_asyncio() -> asyncio.AbstractEventLoop:
    """Return a new asyncio loop, and make it the current loop."""
    with server_modules():  # the action may have a module of that name
        import asyncio

        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
    return loop
