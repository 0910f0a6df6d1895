"""
One run of the action: call it, and make an answer of whatever comes out.

This is the one place where user code runs between our lines, so it catches everything. What is called after user
code is bound by name, here as in the whole path of a request: an action may have put something
else into ``time`` or ``os``.
"""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING

from hotwhisk.action import action as actions
from hotwhisk.action.isolation import variable
from hotwhisk.action.signals import enters_action
from hotwhisk.action.signature import is_awaitable
from hotwhisk.errors import BadResult, debugger_hint
from hotwhisk.openwhisk.answers import Cause, Profile, failure_response
from hotwhisk.openwhisk.bodies import (
    RunRequest,
    error_body,
    exception_body,
    result_error,
    write_result,
)
from hotwhisk.openwhisk.context import Context
from hotwhisk.worker.awaiting import run_to_end
from hotwhisk.worker.process import flush

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from hotwhisk.action.action import Action
    from hotwhisk.actionloop.bridge import Program
    from hotwhisk.config.config import Config

GRACE = 2.0
"""Seconds after the platform's deadline before a run is killed: its own text goes first."""


class Budget:
    """Computes how many seconds a run may take, from its context."""

    def __init__(self, config: Config) -> None:
        self._default = config.timeout
        self._grace = GRACE if config.openwhisk else 0.0

    def __call__(self, context: Mapping[str, str]) -> float:
        """
        ``deadline`` is in epoch milliseconds. One that is past already, or unreadable, is not
        enforced: the platform's own tests send one from 1970.
        """
        if "deadline" not in context:
            return self._default
        try:
            left = int(context["deadline"]) / 1000 - time()
        except (ValueError, OverflowError):
            return self._default
        return left + self._grace if left > 0 else self._default


def call(
    action: Action | Program, run: RunRequest, profile: Profile, body: bytes | memoryview
) -> tuple[int, bytes]:
    """
    Call a synchronous handler, or let a program have the ``body`` of the request itself: the
    HTTP status and body of the answer.
    """
    if action.handler is None:
        return action.exchange(body, profile)
    try:
        if run.context:
            actions.apply_context(run.context)
        context = _context(run) if action.takes_context else None
        result = action.call(run.value, context)
        if type(result) is not dict:
            while is_awaitable(result):
                result = run_to_end(result)
        return 200, write_result(result)
    except BaseException as error:  # the wall between user code and us
        return failure(error, profile)
    finally:
        flush()


async def call_async(action: Action, run: RunRequest, profile: Profile) -> tuple[int, bytes]:
    """Call a handler that is a coroutine; return the HTTP status and body of the answer."""
    try:
        if run.context:
            actions.apply_context(run.context)
        context = _context(run) if action.takes_context else None
        result = action.call(run.value, context)
        while is_awaitable(result):
            result = await _await(result)
        return 200, write_result(result)
    except BaseException as error:  # the wall between user code and us
        return failure(error, profile)
    finally:
        flush()


def _context(run: RunRequest) -> Context:
    return Context(run.context, api_host=variable("__OW_API_HOST"))


@enters_action
async def _await(awaitable: Awaitable[object]) -> object:
    """Run the action's coroutine."""
    return await awaitable


def failure(error: BaseException, profile: Profile) -> tuple[int, bytes]:
    """Print the exception that ended a run; return the HTTP status and body of its answer."""
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
        if isinstance(error, Exception) or (quit_debugger and profile is Profile.PLAIN):
            return 200, exception_body(error, profile, actions.place_of(error))
        did = f"raised {type(error).__name__}"
    # The platform's launcher catches neither of the two: its process ends.
    status, text = failure_response(profile, Cause.EXITED)
    if profile is Profile.PLAIN:
        text = f"the action {did} during this request"
    return status, error_body(text)
