"""
Find out how a handler must be called, and make the call.

For functions and methods the code object says exactly how many arguments it takes, and whether it
is a coroutine function, in a microsecond. The import of `inspect` takes longer than that of the
rest of a worker. So it is imported for other callables only: partials with keywords, classes,
objects with a signature of their own, functions written in C.

Python notices some mistakes of a handler only when the handler has returned. For example, a
coroutine that was never awaited is dropped with the handler's variables. The warning then names the
code that called the handler, which would be a line of the server. So the functions that make the
call have the file and the first line of the handler. `hotwhisk.action.tracebacks` leaves their
frames out.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from functools import partial

from hotwhisk.action.isolation import server_modules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Any, Final, TypeGuard

    Handler = Callable[..., Any]

VARARGS = 0x04
COROUTINE = 0x80
ITERABLE_COROUTINE = 0x100
ASYNC_GENERATOR = 0x200


def takes_context(handler: Handler) -> bool:
    """
    Return whether the handler requires a second positional parameter, which is the context.

    An optional second parameter, or ``*rest``, is not filled. Both the function and its wrapper
    must accept two arguments.
    """
    inner = _innermost(handler)
    plain = _as_function(inner)
    if plain is None:
        return _required_by_signature(handler) >= 2 and accepts(handler, 2)
    function, bound = plain
    code = function.__code__
    required = code.co_argcount - len(function.__defaults__ or ()) - bound
    return required >= 2 and accepts(handler, 2)


def can_take_event(handler: Handler) -> bool:
    """Return whether a handler can be called with an event, as far as its signature shows that."""
    return _as_function(handler) is None or accepts(handler, 2 if takes_context(handler) else 1)


def accepts(handler: Handler, count: int) -> bool:
    """Return whether a handler accepts ``count`` positional arguments; its wrapper decides."""
    plain = _as_function(handler)
    if plain is None:
        return _accepts_by_signature(handler, count)
    function, bound = plain
    code = function.__code__
    named = code.co_argcount - bound
    required = named - len(function.__defaults__ or ())
    free = set(code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount])
    needs_keyword = bool(free - set(function.__kwdefaults__ or ()))
    most = count if code.co_flags & VARARGS else named
    return required <= count <= most and not needs_keyword


def is_async(handler: Handler) -> bool:
    """Return whether a call of the handler gives a coroutine."""
    return _has_flag(handler, COROUTINE) or _is_marked(handler)


def is_awaitable(result: object) -> TypeGuard[Awaitable[object]]:
    """Return whether a result can be awaited: a coroutine, a future, or a similar object."""
    if isinstance(result, types.GeneratorType):  # `types.coroutine` makes these of generators
        return bool(result.gi_code.co_flags & ITERABLE_COROUTINE)
    return hasattr(type(result), "__await__")


def is_async_generator(handler: Handler) -> bool:
    """Return whether a call of the handler gives an asynchronous generator."""
    return _has_flag(handler, ASYNC_GENERATOR)


def _innermost(handler: Handler) -> Handler:
    """Return the innermost function that `functools.wraps` has wrapped."""
    for _ in range(64):  # a cycle of wrappers ends as well
        inner = getattr(handler, "__wrapped__", None)
        if not callable(inner) or hasattr(handler, "__signature__"):
            return handler
        handler = inner
    return handler


def _as_function(handler: Handler) -> tuple[types.FunctionType, int] | None:
    """
    Return the function of a function, a method or an object's ``__call__``; None for others.

    Return also how many arguments are bound already.
    """
    if hasattr(handler, "__signature__"):
        return None
    if isinstance(handler, types.FunctionType):
        return handler, 0
    if isinstance(handler, types.MethodType):
        inner = handler.__func__
        return (inner, 1) if isinstance(inner, types.FunctionType) else None
    if isinstance(handler, (type, partial)):
        return None
    called = getattr(type(handler), "__call__", None)  # noqa: B004 - the function is wanted
    return (called, 1) if isinstance(called, types.FunctionType) else None


def _without_partials(handler: Handler) -> Handler:
    while isinstance(handler, partial):
        handler = handler.func
    return handler


def _has_flag(handler: Handler, flag: int) -> bool:
    plain = _as_function(_without_partials(handler))
    return plain is not None and bool(plain[0].__code__.co_flags & flag)


def _is_marked(handler: Handler) -> bool:
    """Return whether `inspect.markcoroutinefunction` was used on the handler (Python 3.12)."""
    return getattr(_without_partials(handler), "_is_coroutine_marker", None) is not None


def _required_by_signature(handler: Handler) -> int:
    with server_modules():
        import inspect
    try:
        parameters = inspect.signature(handler).parameters.values()
    except (TypeError, ValueError):
        return 0  # built in, without a signature
    return sum(
        parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and parameter.default is parameter.empty
        for parameter in parameters
    )


def _accepts_by_signature(handler: Handler, count: int) -> bool:
    with server_modules():
        import inspect
    try:
        inspect.signature(handler, follow_wrapped=False).bind(*[None] * count)
    except (TypeError, ValueError):
        return False
    return True


CALLER: Final = "<hotwhisk>"
"""The name that those functions have."""

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


def make_call(handler: Handler, *, takes_context: bool, is_async: bool) -> Call:
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
