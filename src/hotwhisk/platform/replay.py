"""
Repeat an activation that a file describes, on a server that runs.

Three kinds of file are understood, distinguished by their keys:

- a body of ``/run``: ``{"value": {…}, "activation_id": "…", …}``;
- both bodies, ``{"init": {…}, "run": {…}}``, each with or without its outer ``value``;
  the code in ``init`` is posted first;
- an activation record, as ``wsk activation get`` prints it. A record does not hold the
  parameters, so they are given separately; name, version, kind, limits and identifiers are
  taken from it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from hotwhisk.errors import UsageError
from hotwhisk.platform.action import Action, Limits, Names
from hotwhisk.platform.activation import Invoker
from hotwhisk.platform.runtime import UrlRuntime

Source = str | os.PathLike[str] | Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Replay:
    """An activation to be repeated. Without ``init``, the current action is called."""

    action: Action
    names: Names
    value: object
    init: bool = False


def activation_from(source: Source) -> Replay:
    """Read a file, or content read already. A `UsageError` says what is wrong with it."""
    document = source if isinstance(source, Mapping) else _read(source)
    if "init" in document or "run" in document:
        return _from_bodies(document)
    if "activationId" in document:
        return _from_record(document)
    if "value" in document or "activation_id" in document:
        return _from_bodies({"run": document})
    raise UsageError(
        "expected an activation record (with activationId), a body of /run (with value), "
        f"or an object with init and run; got the keys {', '.join(sorted(document)) or 'none'}"
    )


def replay(source: Source, url: str, *, value: object = None) -> dict[str, object]:
    """
    Invoke it as the platform would, and return the activation record.

    ``value`` replaces the parameters of the file.
    """
    wanted = activation_from(source)
    runtime = UrlRuntime(url)
    with runtime:
        if not wanted.init:
            runtime.pinned = wanted.action
        argument = wanted.value if value is None else value
        return Invoker().invoke(runtime, wanted.action, argument, names=wanted.names)


def _from_bodies(document: Mapping[str, object]) -> Replay:
    run = _object(document.get("run") or {}, "run")
    init = _object(document.get("init") or {}, "init")
    if "value" in init:
        init = _object(init["value"] or {}, "init.value")
    known = {"value", *_CONTEXT}
    value = run.get("value") if known & run.keys() else run
    code, main = init.get("code"), init.get("main") or "main"
    if not (code is None or isinstance(code, str)) or not isinstance(main, str):
        raise UsageError("init: `code` and `main` must be strings")
    names = _names(run)
    action = Action(
        name=str(run.get("action_name") or init.get("name") or "action").rpartition("/")[2],
        namespace=_owner(str(run.get("action_name") or ""), names.namespace),
        code=code,
        main=main,
        version=str(run.get("action_version") or "0.0.1"),
        init_parameters=_object(init.get("env") or {}, "init.env"),
        api_key=cast("str | None", run.get("api_key")),
        limits=_limits(document.get("limits")),
    )
    return Replay(action, names, {} if value is None else value, init="init" in document)


def _from_record(record: Mapping[str, object]) -> Replay:
    notes: dict[str, object] = {}
    for each in cast("list[object]", record.get("annotations") or []):
        if isinstance(each, Mapping) and "key" in each:
            notes[str(each["key"])] = each.get("value")
    fallback = f"{record.get('namespace') or 'guest'}/{record.get('name') or 'action'}"
    owner, _, name = str(notes.get("path") or fallback).partition("/")
    action = Action(
        name=name,
        namespace=owner,
        version=str(record.get("version") or "0.0.1"),
        kind=str(notes.get("kind") or "unknown"),
        limits=_limits(notes.get("limits")),
    )
    value = record.get("value")
    return Replay(action, _names(record), {} if value is None else value)


_CONTEXT = (
    "activation_id",
    "namespace",
    "action_name",
    "action_version",
    "transaction_id",
    "deadline",
    "api_key",
)


def _names(document: Mapping[str, object]) -> Names:
    fresh = Invoker().new_names()
    return replace(
        fresh,
        activation=str(
            document.get("activation_id") or document.get("activationId") or fresh.activation
        ),
        transaction=str(document.get("transaction_id") or fresh.transaction),
        namespace=str(document.get("namespace") or fresh.namespace),
    )


def _owner(action_name: str, fallback: str) -> str:
    """Return the namespace and package in ``/namespace/package/name``."""
    return action_name.strip("/").rpartition("/")[0] or fallback


def _limits(shown: object) -> Limits:
    if not isinstance(shown, Mapping):
        return Limits()
    numbers = {
        name: shown[name]
        for name in ("timeout", "memory", "logs", "concurrency")
        if type(shown.get(name)) is int
    }
    return replace(Limits(), **numbers)


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where}: expected a JSON object, got {type(value).__name__}")
    return dict(value)


def _read(name: str | os.PathLike[str]) -> Mapping[str, object]:
    path = Path(name)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: expected a JSON object: {error}") from None
    return _object(document, str(path))
