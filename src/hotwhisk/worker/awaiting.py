"""
Awaitables in a worker that has no loop of asyncio's.

A handler need not be a coroutine function to return an awaitable: a decorator, a lambda or an
object may stand between. That is known only once it has returned, so such a handler is called
like any other, one request at a time, and what it returns is run to its end.
"""

from __future__ import annotations

from os import getpid
from typing import TYPE_CHECKING, Any

from hotwhisk.action.house import at_home
from hotwhisk.action.signals import enters_action

if TYPE_CHECKING:
    import asyncio


class _Kept:
    """The loop of this process; what an action opened in it is there at the next request."""

    loop: asyncio.AbstractEventLoop | None = None


@enters_action
def run_to_end(awaitable: Any) -> object:
    """
    Run an awaitable where no loop runs, and return its result.

    A future is run in the loop that it belongs to, all else in one that is kept for the life of
    the process. Between two calls no loop runs, so a handler may call ``asyncio.run``.
    """
    own = getattr(awaitable, "get_loop", None)
    if own is not None:
        return own().run_until_complete(awaitable)
    if _Kept.loop is None or _Kept.loop.is_closed():
        _Kept.loop = new_asyncio()
    return _Kept.loop.run_until_complete(alone(awaitable))


async def alone(awaitable: Any) -> object:
    """
    Await it. It may fork, and a copy of this process that comes out of it ends here: in a child,
    asyncio's loop of Python 3.14 reports errors, and after a ``sys.exit`` it never ends.
    """
    pid = getpid()
    try:
        return await awaitable
    finally:
        if getpid() != pid:
            from hotwhisk.worker import invocation  # it imports this module

            invocation.flush()
            invocation.leave(0)


def new_asyncio() -> asyncio.AbstractEventLoop:
    """Return a loop of asyncio's that is the current one from now on."""
    with at_home():  # the action may have a module of that name
        import asyncio

        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
    return loop
