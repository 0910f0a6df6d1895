"""
Provide ``on_startup`` for functions that each worker calls before its first request.

Only decorated functions are called. A fixed name would not do: an action that was written without
hotwhisk in mind may have functions of any name for purposes of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from hotwhisk.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    Function = TypeVar("Function", bound=Callable[..., Any])

_registered: Final[list[Callable[..., Any]]] = []


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
    _registered.append(function)
    return function


def registered() -> tuple[Callable[..., Any], ...]:
    """Return the registered functions of this process in their order."""
    return tuple(_registered)
