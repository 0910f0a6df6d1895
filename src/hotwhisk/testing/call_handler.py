"""
Call a handler in the test's own process, as a worker calls it.

A breakpoint in the handler holds, coverage counts its lines, and a test can replace what it uses.
The event and the context pass through the body of a ``/run``, and the result through the body of
its answer, in the worker's own functions. So what JSON cannot say fails here as it fails there.
Only an exception is not turned into an answer: the test gets it.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import AsyncGeneratorType
from typing import TYPE_CHECKING, Any, Self

from hotwhisk.action.action import Action, apply_context, load_file
from hotwhisk.action.isolation import process_restored, variable
from hotwhisk.action.signature import is_awaitable
from hotwhisk.artifact.artifact import FOLDER_ENTRY
from hotwhisk.artifact.kinds import DEFAULT_HANDLER
from hotwhisk.artifact.manifest import action_name
from hotwhisk.artifact.snapshot import REQUIREMENTS
from hotwhisk.cli.files import require_file
from hotwhisk.config.platform import Profile
from hotwhisk.errors import BadResult, HotwhiskError, LoadFailed, UsageError
from hotwhisk.openwhisk.bodies import CONTEXT_KEYS, read_run, write_result
from hotwhisk.openwhisk.context import Context
from hotwhisk.openwhisk.part_forms import GENERATORS, Layout, write_part
from hotwhisk.platform import Action as StoredAction
from hotwhisk.platform import Names
from hotwhisk.platform.action import run_body
from hotwhisk.registration import startup_functions

if TYPE_CHECKING:
    from hotwhisk.openwhisk.part_forms import Parts

Handler = Callable[..., Any]


class CallHandler:
    """
    Calls handlers of one test, until the context ends.

    Then the process has its former environment, working directory and modules again. Paths of
    files begin at ``folder``. All asynchronous handlers run on one event loop, as in a worker.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: dict[tuple[Path, str], Action] = {}
        self._runner = asyncio.Runner()
        self._state = ExitStack()

    def __call__(
        self,
        handler: Handler | str | Path,
        event: object = None,
        *,
        main: str = DEFAULT_HANDLER,
        timeout: float = 60.0,
        **context: object,
    ) -> Any:
        """
        Call a handler with an event; return its result as its caller gets it, read from JSON.

        If the handler answers in parts, run it to its end and return the list of its parts.

        ``handler`` is a function, or a ``.py`` file or a folder with ``__main__.py``, whose
        function ``main`` is called. A file is loaded once for a test, and its functions with
        ``@on_startup`` are called. Until the test ends, its folder then is the working directory
        and the first place to import from.

        The handler gets a context if it requires one. ``timeout`` is the time until its deadline,
        in seconds; it is not enforced. ``context`` replaces what else the platform sends:
        ``activation_id``, ``action_name``, ``api_key`` and so on; None leaves a key out. The
        handler also finds all this in the environment, as ``__OW_ACTIVATION_ID`` and so on.

        Raises:
            LoadFailed: the file does not load, or has no such handler.
            BuildFailed: the file does not compile.
            BadResult: the result is not a dict or a list, or it or a part has no form in JSON.
        """
        __tracebackhide__ = True
        try:
            action = self._action(handler, main)
            run = read_run(_run_body(handler, event, timeout), Profile.PLAIN)
            values = _context(run.context, context)
        except HotwhiskError as error:
            raise error.with_traceback(None) from None  # a test need not show frames of ours
        apply_context(values)
        arguments = [run.value]
        if action.takes_context:
            arguments.append(Context(values, api_host=variable("__OW_API_HOST")))
        result = self._finish(action.handler(*arguments))
        try:
            if isinstance(result, GENERATORS):
                parts = self._finish(_collect(result))
                return [json.loads(write_part(Layout.LINES, part)) for part in parts]
            return json.loads(write_result(result))
        except BadResult as error:
            raise error.with_traceback(None) from None

    def __enter__(self) -> Self:
        self._state.enter_context(process_restored())
        return self

    def __exit__(self, *_: object) -> None:
        """Close the event loop, and restore the process."""
        with self._state:
            self._runner.close()

    def _action(self, handler: Handler | str | Path, main: str) -> Action:
        __tracebackhide__ = True
        if callable(handler):
            return Action(handler)
        path = self._folder / handler
        require_file(str(path))
        path = path / FOLDER_ENTRY if path.is_dir() else path
        action = self._loaded.get((path, main))
        if action is None:
            registered = len(startup_functions())
            action = self._loaded[path, main] = _load(path, main)
            for function in action.startup[registered:]:
                self._finish(function())
        return action

    def _finish(self, result: Any) -> Any:
        """Return the result of a call, after it was awaited if it can be."""
        __tracebackhide__ = True
        while is_awaitable(result):
            _refuse_running_loop(result)
            result = self._runner.run(_wait(result))
        return result


async def _collect(parts: Parts) -> list[object]:
    __tracebackhide__ = True
    if isinstance(parts, AsyncGeneratorType):
        return [part async for part in parts]
    return list(parts)  # type: ignore[arg-type]


async def _wait(awaitable: Awaitable[object]) -> object:
    __tracebackhide__ = True
    return await awaitable


def _refuse_running_loop(result: object) -> None:
    __tracebackhide__ = True
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    if asyncio.iscoroutine(result):
        result.close()
    raise UsageError(
        "call_handler waits for an asynchronous handler itself, and cannot do so in an asynchronous "
        "test: write `def test_…` in place of `async def test_…`, or await the handler there"
    )


def _load(path: Path, main: str) -> Action:
    """Load a file as a worker does. What the test has imported from its folder stays imported."""
    folders = (f"{path.parent.absolute()}{os.sep}", f"{path.parent.resolve()}{os.sep}")
    beside = {
        name: module
        for name, module in sys.modules.items()
        if str(getattr(module, "__file__", "")).startswith(folders)
    }
    try:
        action = load_file(str(path), main)
    except LoadFailed as error:
        if "ModuleNotFoundError" not in str(error) or not (path.parent / REQUIREMENTS).exists():
            raise
        raise LoadFailed(
            f"{error}. If it is a library, install it where pytest runs: "
            f"python -m pip install -r {path.parent / REQUIREMENTS}"
        ) from None
    for name, module in beside.items():
        sys.modules.setdefault(name, module)
    return action


def _run_body(handler: Handler | str | Path, event: object, timeout: float) -> bytes:
    """Return the body of the ``/run`` that the platform would send."""
    name = getattr(handler, "__name__", "") or action_name(Path(str(handler)))
    names = Names(secrets.token_hex(16), secrets.token_hex(16))
    deadline = int((time.time() + timeout) * 1000)
    return run_body(StoredAction(name), names, deadline, {} if event is None else event)


def _context(sent: Mapping[str, str], given: Mapping[str, object]) -> dict[str, str]:
    """Return the context as sent, with given values in its place; None leaves a key out."""
    if unknown := sorted(given.keys() - CONTEXT_KEYS):
        raise UsageError(
            f"the context has no {', '.join(unknown)}; it has {', '.join(sorted(CONTEXT_KEYS))}"
        )
    values = {**sent, **given}
    return {key: str(value) for key, value in values.items() if value is not None}
