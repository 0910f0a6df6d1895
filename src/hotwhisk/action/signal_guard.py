"""
Keep signal handlers of the action out of the server's own code.

The interpreter runs a Python signal handler between any two instructions of the main thread. An
exception of the handler is raised at that place. As a rule the place is in the action. It can also
be in the middle of our `recv`. There a TimeoutError looks like a dead client, and any exception
loses the bytes just read.

So the interpreter is given a guarded handler in place of the action's handler. The guarded handler
looks at the frame that was interrupted. If code of the action runs there, the exception is raised
there, as in any Python program. Otherwise the exception is printed to stderr and goes no further.
`signal.getsignal` and `signal.signal` still return the action's own handlers.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import sys
from collections.abc import Callable
from os import getpid
from os.path import dirname
from time import monotonic

from hotwhisk.action.tracebacks import SERVER_FOLDER, print_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any, Final, TypeVar

    _Function = TypeVar("_Function", bound=Callable[..., Any])
    _Handler = Callable[[int, FrameType | None], Any]

QUIET: Final = 1.0
"""Seconds after a printed exception in which further exceptions are only counted."""

_ENTRIES: Final[set[CodeType]] = set()
_CALLBACK: Final = "Handle._run"
"""The function of asyncio that calls every callback and every step of a task."""

_set_handler: Final = _signal.signal
_get_handler: Final = _signal.getsignal


class _Printed:
    """Holds what was printed about exceptions that were raised between runs."""

    until = 0.0
    unprinted = 0
    busy = False


class _Process:
    """Holds the process whose own code is guarded. A child of the action is not guarded."""

    pid = 0


def enters_action(function: _Function) -> _Function:
    """
    Mark a function of ours whose exceptions are caught as the action's.

    The mark also covers all exceptions that are raised below the function.
    """
    _ENTRIES.add(function.__code__)
    return function


def guard_handlers() -> None:
    """Guard this process, and let SIGINT raise KeyboardInterrupt, as Python does by default."""
    _Process.pid = getpid()
    _signal.signal = _signal_guarded
    _signal.getsignal = _getsignal_unguarded
    if _get_handler(_signal.SIGINT) in (_signal.SIG_DFL, _signal.default_int_handler):
        _signal_guarded(_signal.SIGINT, _signal.default_int_handler)


class _Guarded:
    """A handler of the action that raises no exception into our code."""

    def __init__(self, handler: _Handler) -> None:
        self.handler = handler

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """
        Call the handler of the action.

        Its exception is raised only if code of the action was interrupted.
        """
        if getpid() != _Process.pid or _in_action(frame):
            self.handler(number, frame)
            return
        try:
            self.handler(number, frame)
        except BaseException as error:  # noqa: BLE001 - the exception belongs to no run
            print_stray(error, f"the action's handler for signal {number}")


def _signal_guarded(number: int, handler: Any, /) -> Any:
    """Set a guarded handler in place of `_signal.signal`, which `signal.signal` calls."""
    guarded = _Guarded(handler) if callable(handler) else handler
    return _unguarded(_set_handler(number, guarded))


def _getsignal_unguarded(number: int, /) -> Any:
    """Return the action's handler in place of `_signal.getsignal`, for `signal.getsignal`."""
    return _unguarded(_get_handler(number))


def _unguarded(handler: Any) -> Any:
    return handler.handler if isinstance(handler, _Guarded) else handler


def _in_action(frame: FrameType | None) -> bool:
    """Return whether ``frame`` is code of the action or was called by such code."""
    inner = ""
    while frame is not None:
        code = frame.f_code
        if code in _ENTRIES:
            return True
        if code.co_qualname == _CALLBACK:  # the action made this task or callback
            return (
                bool(inner) and dirname(inner) != dirname(code.co_filename) and not _is_ours(inner)
            )
        inner, frame = code.co_filename, frame.f_back
    return False


def _is_ours(file: str) -> bool:
    return file.startswith(SERVER_FOLDER)


def print_stray(error: BaseException, origin: str) -> None:
    """
    Print an exception of the action that was raised in code of the server.

    If many such exceptions are raised, one a second is printed, with the number of the others.
    """
    if _Printed.busy or monotonic() < _Printed.until:
        _Printed.unprinted += 1
        return
    _Printed.busy = True
    try:
        more = f"; {_Printed.unprinted} more before it" if _Printed.unprinted else ""
        _Printed.unprinted = 0
        print_error(error)
        sys.stderr.write(
            f"hotwhisk: {origin} raised {type(error).__name__} between two runs of the action, "
            f"so it ends none of them{more}\n"
        )
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - the action may have closed or broken the stream
        pass
    finally:
        _Printed.until = monotonic() + QUIET
        _Printed.busy = False
