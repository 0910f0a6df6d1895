"""
Run a sequence: its components one after another, each with the result of the one before.

The record of a sequence has no log of its own but the activation ids of its components. A result
with an error ends it. Source: ``SequenceActions.scala`` of apache/openwhisk.
"""

from __future__ import annotations

import time
from typing import Any, Final

from hotwhisk.gateway.invocations.call import Call, Runner
from hotwhisk.gateway.invocations.resolve import (
    AccessDenied,
    Resolved,
    full_key,
    resolve_for,
)
from hotwhisk.gateway.store.actions import ActionKey
from hotwhisk.gateway.store.activations import StoredActivation
from hotwhisk.gateway.store.store import Store
from hotwhisk.platform.verdict import Status, error

MOST_COMPONENTS: Final = 50
"""Actions in a sequence, those of inner sequences included."""
TOO_LONG: Final = "Too many actions in the sequence."
EMPTY: Final = "No component specified for the sequence."
CYCLIC: Final = "Sequence may not refer to itself."
COMPONENT_MISSING: Final = "Sequence component does not exist."


class BadSequence(Exception):
    """The components cannot make a sequence; the text is the platform's."""


def check(store: Store, caller: str, key: ActionKey, components: list[str]) -> None:
    """
    Check that a sequence with these components could run.

    Raises:
        BadSequence: it is empty, too long, or contains itself, or a component does not exist.
        AccessDenied: a component belongs to another namespace and is not public.
    """
    if not components:
        raise BadSequence(EMPTY)
    if _count(store, caller, key, components) > MOST_COMPONENTS:
        raise BadSequence(TOO_LONG)


def _count(store: Store, caller: str, key: ActionKey, components: list[str], depth: int = 0) -> int:
    """Return how many actions with code there are in all."""
    if len(components) > MOST_COMPONENTS or depth > MOST_COMPONENTS:
        raise BadSequence(TOO_LONG)
    total = 0
    for component in components:
        wanted = full_key(component, caller)
        if wanted == key:
            raise BadSequence(CYCLIC)
        found = resolve_for(store, caller, wanted)
        if found is None:
            raise BadSequence(COMPONENT_MISSING)
        action = found.action
        if (action.namespace, action.package, action.name) == key:
            raise BadSequence(CYCLIC)
        inner = action.components
        total += 1 if inner is None else _count(store, caller, key, inner, depth + 1)
    return total


def run(runner: Runner, call: Call) -> StoredActivation:
    """Run a sequence, and return its record."""
    began = time.time()
    parts: list[StoredActivation] = []
    value: object = call.argument
    response: dict[str, Any] = {}
    for component in call.resolved.action.components or []:
        found = _next(runner.store, call, component)
        if isinstance(found, str):
            response = error(Status.APPLICATION_ERROR, found).shown()
            break
        counted = None
        if found.action.components is None:
            call.counted.actions += 1
        else:
            call.counted.sequences += 1
            counted = call.counted
        part = runner.run(
            runner.new_call(call.caller, found, value, cause=call.id, counted=counted)
        )
        parts.append(part)
        response = part.record["response"]
        value = response["result"]
        if isinstance(value, dict) and "error" in value:
            break
    return combined(call, parts, response, began)


def _next(store: Store, call: Call, component: str) -> Resolved | str:
    """Return the next component, or why it cannot run."""
    if call.counted.actions >= MOST_COMPONENTS or call.counted.sequences > MOST_COMPONENTS:
        return TOO_LONG
    caller = call.caller.name
    try:
        return resolve_for(store, caller, full_key(component, caller)) or COMPONENT_MISSING
    except AccessDenied:
        return COMPONENT_MISSING


def combined(
    call: Call,
    parts: list[StoredActivation],
    response: dict[str, Any],
    began: float,
    *,
    conductor: bool = False,
) -> StoredActivation:
    """Return the record of an activation that is made of others."""
    action = call.resolved.action
    annotations: list[dict[str, Any]] = [
        {"key": "topmost", "value": call.cause is None},
        {"key": "path", "value": action.path},
        {"key": "kind", "value": "sequence"},
    ]
    if conductor:
        annotations.append({"key": "conductor", "value": True})
    memory = max((_memory(part) for part in parts), default=action.document["limits"]["memory"])
    limits = {**action.document["limits"], "memory": memory}
    annotations.append({"key": "limits", "value": limits})
    record = {
        "namespace": call.caller.name,
        "name": action.name,
        "version": action.version,
        "subject": call.caller.name,
        "activationId": call.id,
        "start": int(began * 1000),
        "end": int(time.time() * 1000),
        "duration": sum(part.record["duration"] for part in parts),
        "statusCode": response["statusCode"],
        "response": response,
        "logs": [part.id for part in parts],
        "annotations": annotations,
        "publish": False,
    }
    return call.completed(record)


def _memory(part: StoredActivation) -> int:
    found: int = part.annotation("limits")["memory"]
    return found
