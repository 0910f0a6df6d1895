"""
Load the action's code and find its handler.

This happens in the worker, the process that answers requests. This module, and all else that the
worker needs, must be imported before `load` is called: from then on the action's own modules win
(see `hotwhisk.action.isolation`). A source is run once, in one of two ways, which
`hotwhisk.action.entry_point` chooses: as ``main__``, and the handler is found by its name; or as
``__main__``, and the source gives its handler to `hotwhisk.start`.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from hotwhisk.action import child_imports, pinned
from hotwhisk.action.entry_point import enters_by_start, parse
from hotwhisk.action.isolation import (
    apply_context,
    enter_action_folder,
    import_path,
    set_environment,
)  # fmt: skip
from hotwhisk.action.pinned import find_module, read_module
from hotwhisk.action.signal_guard import enters_action
from hotwhisk.action.signature import (
    accepts,
    is_async,
    is_async_generator,
    make_call,
    takes_context,
)
from hotwhisk.action.tracebacks import (
    MODULE,
    place_of,
    print_error,
    print_exit,
    text_of,
    text_of_syntax_error,
)
from hotwhisk.artifact.kinds import DEFAULT_HANDLER
from hotwhisk.errors import BuildFailed, LoadFailed, debugger_hint
from hotwhisk.registration import (
    HandlerRegistered,
    HandlerSlot,
    register_handler,
    startup_functions,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hotwhisk.artifact.artifact import Unpacked
    from hotwhisk.artifact.snapshot import Snapshot

    Handler = Callable[..., Any]

__all__ = [
    "Action", "apply_context", "load", "load_file", "load_module", "place_of",
    "print_error", "print_exit", "register_handler", "set_environment", "text_of",
]  # fmt: skip


HandlerSlot.in_server = True  # this module is imported by servers only


class Action:
    """Holds a loaded handler, and how it must be called."""

    __slots__ = ("call", "handler", "is_async", "startup", "takes_context")

    def __init__(self, handler: Handler, startup: Sequence[Handler] = ()) -> None:
        self.handler = handler
        self.startup = startup
        self.takes_context = takes_context(handler)
        is_coroutine = is_async(handler)
        self.is_async = is_coroutine or is_async_generator(handler)
        """Whether the handler runs in an asyncio loop, where its runs may overlap."""
        self.call = enters_action(
            make_call(handler, takes_context=self.takes_context, is_async=is_coroutine)
        )
        """Calls the handler. For an asynchronous one, the result is the coroutine or generator."""


def load(unpacked: Unpacked, main: str, source: bytes | None = None) -> Action:
    """
    Load an unpacked artifact and find its handler. ``source`` is its file, if that is known.

    A built artifact states the name of its handler. If the request has another name than the
    default, the request wins.
    """
    return _load(unpacked.folder, unpacked.entry, unpacked.handler(main), source)


def load_file(
    path: str,
    main: str,
    source: bytes | None = None,
    generation_folder: str = "",
    virtualenv: str = "",
) -> Action:
    """
    Load a file of the user under its own path; its folder is the first place to import from.

    If ``source`` is given, it is run instead of the present content of the file.
    ``generation_folder`` is the folder of the generation, where child processes find the file.
    ``virtualenv`` is an environment elsewhere. It replaces an environment beside the file.
    """
    path = os.path.abspath(path)
    return _load(os.path.dirname(path), path, main, source, generation_folder, virtualenv)


def load_module(
    name: str,
    main: str,
    kept: Snapshot | None,
    keep: Callable[[Snapshot], object],
    generation_folder: str = "",
) -> tuple[Action, str]:
    """
    Load a module as ``python -m`` finds it; return the action and the digest of its version.

    The working directory is searched first. The module keeps its package, so its relative imports
    work.

    The module is loaded from ``kept``. If ``kept`` is None, ``keep`` is called with the present
    content of the files. ``generation_folder`` is the folder of the generation, as for `load_file`.
    """
    _enter(os.getcwd())
    with _user_errors():
        if kept is None:
            kept = read_module(name)
            keep(kept)
        pinned.install(kept)
        spec = find_module(name)
    entry = spec.origin or ""
    _, code, by_start = _compile(entry, main, kept.paths().get(entry))
    if generation_folder:
        child_imports.offer_module(generation_folder, spec.name, import_path())
    module = importlib.util.module_from_spec(spec)
    if by_start:
        module.__name__ = "__main__"
    sys.modules[MODULE] = sys.modules[module.__name__] = module
    return _run(module, code, main, by_start=by_start), kept.digest


def _load(
    folder: str,
    entry: str,
    main: str,
    source: bytes | None = None,
    generation_folder: str = "",
    virtualenv: str = "",
) -> Action:
    """Run the source in its folder, then find the handler."""
    source, code, by_start = _compile(entry, main, source)
    _enter(folder, virtualenv)
    if generation_folder:
        child_imports.offer_file(generation_folder, entry, source, import_path())
    module = _new_module("__main__" if by_start else MODULE, entry)
    return _run(module, code, main, by_start=by_start)


def _compile(
    entry: str, main: str, source: bytes | None = None
) -> tuple[bytes, types.CodeType, bool]:
    """
    Return the source, its code, and whether the source calls ``start`` (see `entry_point`).

    One syntax tree serves both, so that the compiler warns once. If the text has no "start", no
    tree is made.
    """
    name = os.path.basename(entry)
    if "." in main:
        raise LoadFailed(
            f"`main` is {main!r}; expected the name of a function at the top level of "
            f"{name}, without dots"
        )
    try:
        if source is None:
            with open(entry, "rb", buffering=0) as file:
                source = file.read()
        if b"start" not in source:
            return source, compile(source, entry, "exec", dont_inherit=True), False
        tree = parse(source, entry)
        code = compile(tree, entry, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise BuildFailed(f"{name} does not compile:\n{text_of_syntax_error(error)}") from None
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise BuildFailed(f"{name} does not compile: {error}") from None
    return source, code, enters_by_start(tree, main)


def _enter(folder: str, virtualenv: str = "") -> None:
    try:
        enter_action_folder(folder, virtualenv)
    except (OSError, SyntaxError) as error:
        raise BuildFailed(f"{folder} cannot be entered: {error}") from error


def _new_module(name: str, entry: str) -> types.ModuleType:
    """Return an empty module for the action. It is importable as ``main__`` in both ways."""
    spec = importlib.util.spec_from_file_location(MODULE, entry)
    if spec is None:  # no Python suffix
        module = types.ModuleType(name)
        module.__file__ = entry
    else:
        module = importlib.util.module_from_spec(spec)
        module.__name__ = name
    if name == "__main__":
        module.__spec__ = None
    sys.modules[MODULE] = sys.modules[name] = module
    return module


@contextmanager
def _user_errors() -> Iterator[None]:
    """Turn any exception of the user's code into ``LoadFailed``, and print its traceback."""
    HandlerSlot.open, HandlerSlot.handler = True, None
    try:
        yield
    except (HandlerRegistered, BuildFailed):
        if HandlerSlot.handler is None:
            raise
    except BaseException as error:  # noqa: BLE001 - code of the action ran
        if isinstance(error, SystemExit) and not debugger_hint(error):
            place = place_of(error)
            raise LoadFailed(
                "Command exited abruptly during initialization. "
                f"The code called sys.exit({error.code!r}) while it was loaded"
                f"{place and f', at {place}'}"
            ) from None
        printed = print_error(error)
        text = f"the code raised {type(error).__name__} while it was loaded: {text_of(error)}"
        raise LoadFailed(text, printed) from None
    finally:
        HandlerSlot.open = False


def _run(module: types.ModuleType, code: types.CodeType, main: str, *, by_start: bool) -> Action:
    """Run the source; return the handler given to ``start``, or else the handler of that name."""
    with _user_errors():
        exec(code, module.__dict__)  # noqa: S102 - running it is what we are for
    handler = HandlerSlot.handler
    if handler is not None and main != DEFAULT_HANDLER:
        raise LoadFailed(
            f"`main` is {main!r}, but {os.path.basename(str(module.__file__))} names its handler "
            "itself, by start(); leave the name out, or give that of a function in the file"
        )
    if handler is None:
        handler = _find(module, main, by_start=by_start)
    if not callable(handler):
        raise LoadFailed(f"the handler {main!r} is {type(handler).__name__}; expected a function")
    return Action(handler, _startup_functions())


def _find(module: types.ModuleType, main: str, *, by_start: bool) -> Handler:
    """Return the handler of this name."""
    try:
        handler: Handler = module.__dict__[main]
    except KeyError:
        found = sorted(
            name
            for name, value in module.__dict__.items()
            if isinstance(value, types.FunctionType) and not name.startswith("_")
        )
        has = "it has no functions"
        if found:
            has = f"it has {', '.join(found)}: give --main {found[0]}, or name it {main}"
        called = " and did not call start()" if by_start else ""
        name = os.path.basename(str(module.__file__))
        raise LoadFailed(f"{name} has no function {main!r}{called}; {has}") from None
    return handler


def _startup_functions() -> tuple[Handler, ...]:
    """Return the functions that the source and its modules registered by `hotwhisk.on_startup`."""
    functions = startup_functions()
    for function in functions:
        if not accepts(function, 0):
            name = getattr(function, "__qualname__", repr(function))
            raise LoadFailed(
                f"{name} has @on_startup, but cannot be called without arguments; "
                "expected a function without required parameters"
            )
    return functions
