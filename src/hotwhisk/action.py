"""
Load the action's code and find its handler; call it.

This runs in the worker, in the process that answers requests. Import this module, and all
else that the worker needs, before `load`: from then on the action's own modules win (see
`hotwhisk.house`). A source is run once, either as ``main__``, where the handler is found
by name, or as ``__main__``, where it is given to `hotwhisk.start`, which calls `hand_over`
here; `hotwhisk.entry` decides which.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import inspect
import sys
import traceback
import types
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hotwhisk.entry import enters_by_start
from hotwhisk.errors import BuildFailed, LoadFailed, UsageError
from hotwhisk.house import apply_context, move_in, set_environment

if TYPE_CHECKING:
    from hotwhisk.artifact import Unpacked

__all__ = [
    "Action", "apply_context", "hand_over", "load", "load_file", "print_error",
    "set_environment",
]  # fmt: skip

Handler = Callable[..., Any]

MODULE: Final = "main__"
"""The official runtime's name of the action's module; actions import it by that name."""

_OURS: Final = str(Path(__file__).parent)


class _HandedOver(BaseException):
    """
    Ends a source at its ``start(handler)``, as serving would have kept it there.

    A BaseException, so that an ``except Exception`` around the call does not swallow it.
    """


class _Capture:
    """
    Where ``start(handler)`` puts its handler while a source is loaded.
    """

    open = False
    handler: Handler | None = None


class Action:
    """
    A loaded handler, and how it wants to be called.
    """

    __slots__ = ("handler", "is_async", "ready", "takes_context")

    def __init__(self, handler: Handler, ready: Handler | None = None) -> None:
        """
        Raises ``LoadFailed`` for a handler that can never give a result.
        """
        self.handler = handler
        self.ready = ready
        self.takes_context = _takes_context(handler)
        self.is_async = _is(inspect.iscoroutinefunction, handler)
        if _is(inspect.isasyncgenfunction, handler):
            raise LoadFailed(
                "the handler is an asynchronous generator; expected a function that returns "
                "a dict or a list: use `return` instead of `yield`"
            )

    def call(self, event: object, context: object) -> object:
        """
        Call the handler; for an asynchronous one, the result is the coroutine to run.
        """
        return self.handler(event, context) if self.takes_context else self.handler(event)


def load(unpacked: Unpacked, main: str) -> Action:
    """
    Load an unpacked artifact and find its handler.

    A built artifact states its handler's name itself; a name in the request that is not
    the default wins.
    """
    if main == "main" and unpacked.main:
        main = unpacked.main
    return _load(unpacked.folder, unpacked.entry, main)


def load_file(path: Path, main: str) -> Action:
    """
    Load a file of the user's where it lies; its folder is the one to import from.
    """
    path = path.resolve()
    return _load(path.parent, path, main)


def hand_over(handler: Handler) -> None:
    """
    Take the handler that a source gave to `hotwhisk.start`; ends the source there.
    """
    if not _Capture.open:
        raise UsageError(
            "start() was called by code that is being served already; "
            "call it once, at the end of the action's file"
        )
    _Capture.handler = handler
    raise _HandedOver


def print_error(error: BaseException) -> None:
    """
    Print the traceback of an exception to stderr without the server's own frames.
    """
    frame = error.__traceback__
    while frame and frame.tb_next and frame.tb_frame.f_code.co_filename.startswith(_OURS):
        frame = frame.tb_next
    if frame and frame.tb_frame.f_code.co_filename.startswith(_OURS):
        frame = None
    try:
        traceback.print_exception(type(error), error, frame, file=sys.stderr)
    except Exception:  # noqa: BLE001 - an exception, or a stream, of the user's that cannot be printed
        sys.stderr.write(f"{type(error).__name__}: its traceback could not be printed\n")


def _load(folder: Path, entry: Path, main: str) -> Action:
    """
    Run the source in its folder, then find the handler.
    """
    if "." in main:
        raise LoadFailed(
            f"`main` is {main!r}; expected the name of a function at the top level of "
            f"{entry.name}, without dots"
        )
    tree, code = _compile(entry)
    try:
        move_in(folder)
    except (OSError, SyntaxError) as error:
        raise BuildFailed(f"{folder} cannot be entered: {error}") from error
    by_start = enters_by_start(tree, main)
    module = _new_module("__main__" if by_start else MODULE, entry)
    handler = _run(module, code)
    if handler is None:
        handler = _find(module, main, entry, by_start=by_start)
    if not callable(handler):
        raise LoadFailed(f"the handler {main!r} is {type(handler).__name__}; expected a function")
    return Action(handler, _find_ready(module))


def _compile(entry: Path) -> tuple[ast.Module, types.CodeType]:
    """
    Parse and compile; by way of one tree, so that warnings are given once.
    """
    try:
        source = entry.read_bytes()
        tree = ast.parse(source, str(entry))
        return tree, compile(tree, str(entry), "exec", dont_inherit=True)
    except SyntaxError as error:
        text = "".join(traceback.format_exception_only(error)).strip()
        raise BuildFailed(f"{entry.name} does not compile:\n{text}") from None
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise BuildFailed(f"{entry.name} does not compile: {error}") from None


def _new_module(name: str, entry: Path) -> types.ModuleType:
    """
    An empty module for the action, known by its official name whichever way it runs.
    """
    spec = importlib.util.spec_from_file_location(MODULE, entry)
    if spec is None:  # no Python suffix
        module = types.ModuleType(name)
        module.__file__ = str(entry)
    else:
        module = importlib.util.module_from_spec(spec)
        module.__name__ = name
    if name == "__main__":
        module.__spec__ = None
    sys.modules[MODULE] = sys.modules[name] = module
    return module


def _run(module: types.ModuleType, code: types.CodeType) -> Handler | None:
    """
    Run the source; the handler is returned if the source gave it to ``start``.

    The wall between the server and the user's code: whatever it raises is told as
    ``LoadFailed``, its traceback printed for its author.
    """
    _Capture.open, _Capture.handler = True, None
    try:
        exec(code, module.__dict__)  # noqa: S102 - running it is what we are for
    except _HandedOver:
        pass
    except SystemExit as error:
        raise LoadFailed(
            "Command exited abruptly during initialization. "
            f"The code called sys.exit({error.code!r}) while it was loaded"
        ) from None
    except BaseException as error:  # noqa: BLE001 - the wall
        print_error(error)
        raise LoadFailed(
            f"the code raised {type(error).__name__} while it was loaded: {_text_of(error)}"
        ) from None
    finally:
        _Capture.open = False
    return _Capture.handler


def _find(module: types.ModuleType, main: str, entry: Path, *, by_start: bool) -> Handler:
    """
    The handler by name.
    """
    try:
        handler: Handler = module.__dict__[main]
    except KeyError:
        found = sorted(
            name
            for name, value in module.__dict__.items()
            if isinstance(value, types.FunctionType) and not name.startswith("_")
        )
        has = f"it has {', '.join(found)}" if found else "it has no functions"
        called = " and did not call start()" if by_start else ""
        raise LoadFailed(f"{entry.name} has no function {main!r}{called}; {has}") from None
    return handler


def _find_ready(module: types.ModuleType) -> Handler | None:
    """
    The action's ``ready``: a function of its own that can be called without arguments.
    Anything else of that name belongs to an action that was not written for it.
    """
    ready = module.__dict__.get("ready")
    if not isinstance(ready, types.FunctionType) or ready.__module__ != module.__name__:
        return None
    return ready if _accepts(ready, 0, follow_wrapped=False) else None


def _takes_context(handler: Handler) -> bool:
    """
    Whether a second positional parameter is required: an optional one, or ``*rest``, is
    the action's own business. Both the function and what wraps it are asked.
    """
    try:
        parameters = inspect.signature(handler).parameters.values()
    except (TypeError, ValueError):
        return False  # built in, without a signature
    required = [
        parameter
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and parameter.default is parameter.empty
    ]
    return len(required) >= 2 and _accepts(handler, 2, follow_wrapped=False)


def _accepts(function: Handler, count: int, *, follow_wrapped: bool) -> bool:
    """
    Whether a function can be called with so many positional arguments.
    """
    try:
        signature = inspect.signature(function, follow_wrapped=follow_wrapped)
        signature.bind(*[None] * count)
    except (TypeError, ValueError):
        return False
    return True


def _is(question: Callable[[Any], bool], handler: Handler) -> bool:
    """
    Ask it of a function, of what a partial wraps, or of an object's ``__call__``.
    """
    while isinstance(handler, functools.partial):
        handler = handler.func
    return question(handler) or question(getattr(handler, "__call__", None))  # noqa: B004


def _text_of(error: BaseException) -> str:
    """
    The text of an exception, even of one whose ``__str__`` raises.
    """
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the user's code
        return "(no text)"
