"""
Call the action for one ``/run``, and make a response of its result or its exception.

Code of the action runs here, so every exception is caught. Functions that are called after it are
imported by name, here and wherever a request is handled: the action may have replaced attributes of
modules such as ``time`` or ``os``.
"""

from __future__ import annotations

from resource import RLIM_INFINITY, RLIMIT_DATA, getrlimit
from time import time

from hotwhisk import json_codec
from hotwhisk.action import action as actions
from hotwhisk.action.isolation import variable
from hotwhisk.action.signal_guard import enters_action
from hotwhisk.action.signature import is_awaitable
from hotwhisk.config.platform import Profile
from hotwhisk.errors import BadResult, debugger_hint
from hotwhisk.openwhisk.answers import Cause, failure_answer
from hotwhisk.openwhisk.bodies import (
    RunRequest,
    error_body,
    exception_body,
    result_error,
    write_result,
)
from hotwhisk.openwhisk.context import Context
from hotwhisk.openwhisk.part_forms import AnswersInParts
from hotwhisk.worker.event_loop import run_to_end
from hotwhisk.worker.own_process import flush

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from hotwhisk.action.action import Action
    from hotwhisk.actionloop.bridge import Program
    from hotwhisk.config.config import Config
    from hotwhisk.http1.http1 import Request
    from hotwhisk.http1.trace_context import TraceContext

    RunAnswer = tuple[int, bytes, bool]
    """The HTTP status and the body of a response, and whether it is an error of the action."""

    Read = Callable[[bytes | memoryview, Profile], RunRequest]
    Write = Callable[[object], bytes]
    Call = Callable[[Action | Program, RunRequest, Profile, Request], RunAnswer]

CANCELLED = (
    BadResult.status,
    error_body("the action cancelled this run of its handler"),
    True,
)
"""The answer of a run whose task the action cancelled."""

GRACE = 2.0
"""Seconds from the platform's deadline to the kill, so that its own error comes first."""


class Budget:
    """Computes how many seconds a run may take, from its context."""

    def __init__(self, config: Config) -> None:
        self._default = config.timeout
        self._grace = GRACE if config.openwhisk else 0.0

    def __call__(self, context: Mapping[str, str]) -> float:
        """
        Return the seconds until the ``deadline``, which is in milliseconds since the epoch.

        A deadline that has passed already, or cannot be read, is not enforced: the platform's own
        tests send one from 1970.
        """
        if "deadline" not in context:
            return self._default
        try:
            left = int(context["deadline"]) / 1000 - time()
        except (ValueError, OverflowError):
            return self._default
        return left + self._grace if left > 0 else self._default


def call(
    action: Action | Program,
    run: RunRequest,
    profile: Profile,
    request: Request,
    write: Write = write_result,
) -> RunAnswer:
    """
    Call a synchronous handler; return its answer. ``write`` makes a body of the result.

    A program in the place of an action gets the body of the ``request`` itself.

    Raises:
        AnswersInParts: the handler has returned a generator, which has not begun to run.
    """
    if action.handler is None:
        status, line = action.run(request.body, profile)
        return status, line, status != 200 or _has_error(line)
    try:
        if run.context:
            actions.apply_context(run.context)
        context = _context(run, request.head.trace) if action.takes_context else None
        result = action.call(run.value, context)
        if type(result) is not dict:
            while is_awaitable(result):
                result = run_to_end(result)
        return 200, write(result), isinstance(result, dict) and "error" in result
    except AnswersInParts:
        raise
    except BaseException as error:  # code of the action ran
        return *failure(error, profile), True
    finally:
        flush()


async def call_async(
    action: Action,
    run: RunRequest,
    profile: Profile,
    trace: TraceContext | None,
    write: Write = write_result,
) -> RunAnswer:
    """
    Call a coroutine function; return its answer. ``write`` makes a body of the result.

    Raises:
        AnswersInParts: as for `call`.
    """
    try:
        if run.context:
            actions.apply_context(run.context)
        context = _context(run, trace) if action.takes_context else None
        result = action.call(run.value, context)
        while is_awaitable(result):
            result = await _await(result)
        return 200, write(result), isinstance(result, dict) and "error" in result
    except AnswersInParts:
        raise
    except BaseException as error:  # code of the action ran
        return *failure(error, profile), True
    finally:
        flush()


def _has_error(line: bytes) -> bool:
    """Return whether a program's answer, which is JSON, is an object with the key ``error``."""
    return (
        b'"error"' in line and type(answer := json_codec.loads(line)) is dict and "error" in answer
    )


def _context(run: RunRequest, trace: TraceContext | None) -> Context:
    host = variable("__OW_API_HOST")
    return Context(run.context, api_host=host, trace=trace, cloudevent=run.cloudevent)


@enters_action
async def _await(awaitable: Awaitable[object]) -> object:
    """Await an awaitable of the action."""
    return await awaitable


def failure(error: BaseException, profile: Profile) -> tuple[int, bytes]:
    """Print the exception that ended a run; return the HTTP status and body of its response."""
    if isinstance(error, BadResult):
        if error.__cause__ is not None:
            actions.print_error(error.__cause__)
        return error.status, result_error(profile, error)
    quit_debugger = bool(debugger_hint(error))
    if isinstance(error, SystemExit) and not quit_debugger:
        actions.print_exit(error)
        did = f"called sys.exit({error.code!r})"
    else:
        actions.print_error(error)
        if isinstance(error, MemoryError) and profile is Profile.OPENWHISK and _is_limited():
            status, text = failure_answer(profile, Cause.OUT_OF_MEMORY)
            return status, error_body(text)
        if isinstance(error, Exception) or (quit_debugger and profile is Profile.PLAIN):
            return 200, exception_body(error, profile, actions.place_of(error))
        did = f"raised {type(error).__name__}"
    # The platform's launcher catches neither SystemExit nor KeyboardInterrupt: it ends.
    status, text = failure_answer(profile, Cause.EXITED)
    if profile is Profile.PLAIN:
        text = f"the action {did} during this request"
    return status, error_body(text)


def _is_limited() -> bool:
    """Return whether this process has a limit of memory, which is the action's then."""
    return getrlimit(RLIMIT_DATA)[0] != RLIM_INFINITY
