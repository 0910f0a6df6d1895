"""
Make the call of a handler from the line on which the handler is defined.

Python notices some mistakes of a handler only when the handler has returned. For example, a
coroutine that was never awaited is dropped with the handler's variables. The warning then names the
code that called the handler, which would be a line of the server. So the functions that make the
call bear the file and the first line of the handler instead. `hotwhisk.action.tracebacks` leaves
their frames out.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any, Final

CALLER: Final = "<hotwhisk>"
"""The name that those functions have."""

Handler = Callable[..., Any]
Call = Callable[[object, object], object]


# Each function has one line, so the line of the call is the first line of the function.
def _plain(handler: Handler) -> Call:
    return lambda event, _: handler(event)


def _with_context(handler: Handler) -> Call:
    return lambda event, context: handler(event, context)  # noqa: PLW0108 - it makes a frame


def _plain_async(handler: Handler) -> Call:
    async def call(event: object, _: object) -> object: return await handler(event)  # fmt: skip

    return call


def _with_context_async(handler: Handler) -> Call:
    async def call(event: object, context: object) -> object: return await handler(event, context)  # fmt: skip

    return call


_MAKERS: Final = {
    (False, False): _plain,
    (True, False): _with_context,
    (False, True): _plain_async,
    (True, True): _with_context_async,
}


def caller(handler: Handler, *, takes_context: bool, is_async: bool) -> Call:
    """Return a function of an event and a context that calls or awaits the handler."""
    call = _MAKERS[takes_context, is_async](handler)
    code = _code_of(handler)
    if code is not None and isinstance(call, types.FunctionType):
        call.__code__ = call.__code__.replace(
            co_filename=code.co_filename, co_firstlineno=code.co_firstlineno, co_name=CALLER
        )
    return call


def _code_of(handler: Handler) -> types.CodeType | None:
    """Return the code of a function or method, or of the callable in a partial or an object."""
    for _ in range(64):  # the limit ends a circle of partials
        code = getattr(handler, "__code__", None)
        if isinstance(code, types.CodeType):
            return code
        inner = getattr(handler, "func", None) or getattr(type(handler), "__call__", None)  # noqa: B004
        if inner is None or inner is handler:
            return None
        handler = inner
    return None
