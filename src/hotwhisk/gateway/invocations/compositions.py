"""
Run a composition: a conductor action says after each step which action is the next.

A conductor has the annotation ``conductor``. Its result holds the name of the next action
(``action``), what that one gets (``params``), and what the conductor gets back beside that one's
result (``state``). Without ``action`` the composition ends. Source: docs/conductors.md and
``PrimitiveActions.scala`` of apache/openwhisk.
"""

from __future__ import annotations

import json
import time
from typing import Any, Final

from hotwhisk.gateway.invocations import sequences
from hotwhisk.gateway.invocations.call import Call, Runner
from hotwhisk.gateway.invocations.resolve import (
    AccessDenied,
    Resolved,
    annotation,
    relative_key,
    resolve_for,
)
from hotwhisk.gateway.names import joined
from hotwhisk.gateway.store.activations import StoredActivation
from hotwhisk.platform.verdict import Status, error

TOO_LONG: Final = "Too many actions in the composition."
_MOST: Final = sequences.MOST_COMPONENTS


def is_conductor(resolved: Resolved) -> bool:
    """Return whether an action directs a composition."""
    if resolved.action.components is not None:
        return False
    value = annotation(resolved.action.document["annotations"], "conductor")
    return value not in (None, False, 0, "")


def run(runner: Runner, call: Call) -> StoredActivation:
    """Run a composition, and return its record."""
    began = time.time()
    counted = call.counted
    parts: list[StoredActivation] = []
    payload = call.argument
    state: dict[str, Any] = {}
    while True:
        if counted.conductors > 2 * _MOST:
            response = error(Status.APPLICATION_ERROR, TOO_LONG).shown()
            break
        counted.conductors += 1
        argument = {**payload, **state} if isinstance(payload, dict) else payload
        step = runner.new_call(call.caller, call.resolved, argument, cause=call.id)
        part = runner.run_code(step)
        parts.append(part)
        response = part.record["response"]
        result = response["result"]
        if not isinstance(result, dict):
            break
        if "action" not in result:
            response = {**response, "result": _boxed(result.get("params", result), "value")}
            break
        state = _boxed(result.get("state", {}), "state")
        found = _next(runner, call, result["action"])
        if isinstance(found, str):
            payload = {"error": found}
            continue
        part = _run_component(runner, call, found, _boxed(result.get("params", {}), "value"))
        parts.append(part)
        payload = part.record["response"]["result"]
    return sequences.combined(call, parts, response, began, conductor=True)


def _next(runner: Runner, call: Call, name: object) -> Resolved | str:
    """Return the next action, or what to tell the conductor in place of its result."""
    try:
        key = relative_key(name, call.caller.name) if isinstance(name, str) else None
    except ValueError:
        key = None
    if key is None:
        return f"Failed to parse action name from json value {json.dumps(name)} during composition."
    if call.counted.actions >= _MOST:
        return TOO_LONG
    shown = joined(*key)
    try:
        found = resolve_for(runner.store, call.caller.name, key)
    except AccessDenied:
        return f"Failed entitlement check for action with name '{shown}' during composition."
    return found or f"Failed to resolve action with name '{shown}' during composition."


def _run_component(
    runner: Runner, call: Call, found: Resolved, params: dict[str, Any]
) -> StoredActivation:
    counted = None
    if is_conductor(found):
        counted = call.counted
    else:
        call.counted.actions += 1
    return runner.run(runner.new_call(call.caller, found, params, cause=call.id, counted=counted))


def _boxed(value: object, key: str) -> dict[str, Any]:
    return value if isinstance(value, dict) else {key: value}
