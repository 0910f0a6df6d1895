"""
Fire a trigger: call the action of each of its active rules, and keep a record of that.

Source: ``Triggers.scala`` of apache/openwhisk.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from typing import Any

from hotwhisk.gateway.invocations.invocations import Invocations, TooManyCalls
from hotwhisk.gateway.invocations.resolve import AccessDenied, full_key, resolve_for
from hotwhisk.gateway.store.activations import NotStored, StoredActivation
from hotwhisk.gateway.store.entities import Entity
from hotwhisk.gateway.store.namespaces import Namespace
from hotwhisk.gateway.store.store import Store
from hotwhisk.platform.verdict import Status, Verdict


class _NotCalled(Exception):
    """Why the action of a rule was not called."""


def rules_of(store: Store, trigger: Entity) -> list[Entity]:
    """Return the rules that name a trigger."""
    return store.rules.having(trigger.namespace, "trigger", f"/{trigger.path}")


def fire(
    invocations: Invocations, caller: Namespace, trigger: Entity, payload: dict[str, Any]
) -> str | None:
    """
    Call the actions of a trigger, and keep its record; return its id, or None without active rules.

    The calls run in threads of their own. Nothing is stored if no rule is active.

    Raises:
        sqlite3.Error: nothing can be stored, so nothing was called.
        NotStored: the record of what was called could not be stored.
    """
    invocations.store.database.check()
    rules = rules_of(invocations.store, trigger)
    if not any(rule.document["status"] == "active" for rule in rules):
        return None
    defaults = {each["key"]: each["value"] for each in trigger.document["parameters"]}
    argument = {**defaults, **payload}
    logs = [_call(invocations, caller, rule, argument) for rule in rules]
    return _store(invocations.store, caller, trigger, payload, logs)


def _call(
    invocations: Invocations, caller: Namespace, rule: Entity, argument: dict[str, Any]
) -> str:
    """Call the action of a rule; return the line for the log of the trigger."""
    shown = {"rule": rule.path, "action": rule.document["action"].removeprefix("/")}
    try:
        identifier = _begin(invocations, caller, rule, argument)
    except _NotCalled as reason:
        line = {"statusCode": 1, "success": False, "error": str(reason), **shown}
    else:
        line = {"statusCode": 0, "success": True, "activationId": identifier, **shown}
    return json.dumps(line, separators=(",", ":"))


def _begin(
    invocations: Invocations, caller: Namespace, rule: Entity, argument: dict[str, Any]
) -> str:
    """Begin the call of a rule; return its activation id."""
    name = rule.document["action"]
    if rule.document["status"] != "active":
        action = name.removeprefix("/")
        raise _NotCalled(f"Rule '{rule.path}' is inactive, action '{action}' was not activated.")
    try:
        found = resolve_for(invocations.store, caller.name, full_key(name, caller.name))
    except AccessDenied:
        text = "The supplied authentication is not authorized to access this resource."
        raise _NotCalled(text) from None
    if found is None:
        raise _NotCalled("The requested resource does not exist.")
    if found.final & argument.keys():
        text = "Request defines parameters that are not allowed (e.g., reserved properties)."
        raise _NotCalled(text)
    call = invocations.new_call(caller, found, argument)
    try:
        invocations.start(call)
        invocations.accept(call)
    except (TooManyCalls, NotStored) as refusal:
        raise _NotCalled(str(refusal)) from None
    return call.id


def _store(
    store: Store,
    caller: Namespace,
    trigger: Entity,
    payload: dict[str, Any],
    logs: list[str],
) -> str:
    now = int(time.time() * 1000)
    record = {
        "namespace": caller.name,
        "name": trigger.name,
        "version": trigger.version,
        "subject": caller.name,
        "activationId": secrets.token_hex(16),
        "start": now,
        "end": now,
        "duration": 0,
        "statusCode": 0,
        "response": Verdict(Status.SUCCESS, payload).shown(),
        "logs": logs,
        "annotations": [],
        "publish": False,
    }
    activation = StoredActivation(record, payload)
    try:
        store.activations.add(activation)
    except sqlite3.Error as error:
        raise NotStored("The trigger has called actions", activation.id, error) from error
    return activation.id
