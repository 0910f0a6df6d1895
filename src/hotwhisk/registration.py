"""
Take what an action's source registers while it is loaded: its handler and its startup functions.

`hotwhisk.start` and `hotwhisk.on_startup` put them here, and `hotwhisk.action.action` reads them.
Only decorated functions are called at the start. A fixed name would not do: an action that was
written without hotwhisk in mind may have functions of any name for purposes of its own.
"""

from __future__ import annotations

from hotwhisk.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final, NoReturn, TypeVar

    Function = TypeVar("Function", bound=Callable[..., Any])

_startup_functions: Final[list[Callable[..., Any]]] = []


class HandlerRegistered(BaseException):
    """
    Ends a source at its ``start(handler)``, as serving would have kept it there.

    A BaseException, so that an ``except Exception`` around the call does not swallow it.
    """


class HandlerSlot:
    """Where ``start(handler)`` puts its handler while a source is loaded."""

    in_server = False
    """Whether this process belongs to a server. There, ``start`` begins no other server."""
    open = False
    handler: Callable[..., Any] | None = None


def register_handler(handler: Callable[..., Any]) -> NoReturn:
    """Take the handler that a source gave to `hotwhisk.start`, and end the source there."""
    if not HandlerSlot.open:
        raise UsageError(
            "start() was called by code that is being served already; "
            "call it once, at the end of the action's file"
        )
    HandlerSlot.handler = handler
    raise HandlerRegistered


def on_startup(function: Function) -> Function:
    """
    Register a function without parameters that each worker calls before its first request.

    Use it as a decorator, ``@on_startup``. The function may be asynchronous. If it raises an
    exception, the version is refused. Functions are called in the order of their registration.
    """
    if not callable(function):
        raise UsageError(
            f"on_startup expected a function, got {type(function).__name__}: "
            "write @on_startup above a function, without parentheses"
        )
    _startup_functions.append(function)
    return function


def startup_functions() -> tuple[Callable[..., Any], ...]:
    """Return the functions that ``on_startup`` registered in this process, in their order."""
    return tuple(_startup_functions)
