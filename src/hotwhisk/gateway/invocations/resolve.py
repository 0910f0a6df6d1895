"""
Find an action by its name, and merge the parameters of its package with its own.

A package may be a binding: a name for a package of this or of another namespace, with parameters of
its own. An action in it is that of the package that it is bound to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hotwhisk.gateway.store.actions import ActionKey, StoredAction
from hotwhisk.gateway.store.entities import Entity
from hotwhisk.gateway.store.store import Store


class AccessDenied(Exception):
    """The action is in a package of another namespace that is not public."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """
    An action as it is called.

    ``defaults`` are the entries of the package, of the binding and of the action, each name once.
    ``parameters`` are those for each call. ``variables`` are those that its user marked as
    environment. ``final`` are the names that a call must not set. ``binding`` is the path of the
    binding through which the action was found, or empty.
    """

    action: StoredAction
    parameters: dict[str, object] = field(hash=False)
    variables: dict[str, object] = field(default_factory=dict, hash=False)
    final: frozenset[str] = frozenset()
    defaults: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    binding: str = ""


def resolve_for(store: Store, caller: str, key: ActionKey) -> Resolved | None:
    """
    Return the current version of an action that a namespace may call, or None.

    Raises:
        AccessDenied: it belongs to another namespace, and its package is not public.
    """
    namespace, package, _ = key
    if not package:
        if namespace != caller:
            raise AccessDenied
        return resolve(store, key)
    found = readable_package(store, caller, namespace, package)
    if found is not None and (target := found.document["binding"]):
        readable_package(store, caller, target["namespace"], target["name"])
    return resolve(store, key)


def readable_package(store: Store, caller: str, namespace: str, name: str) -> Entity | None:
    """
    Return a package that a namespace may read, or None.

    Raises:
        AccessDenied: it belongs to another namespace and is not public, or does not exist there.
    """
    found = store.packages.get(namespace, name)
    if namespace != caller and (found is None or not found.document["publish"]):
        raise AccessDenied
    return found


def resolve(store: Store, key: ActionKey) -> Resolved | None:
    """Return the current version of an action, found through a binding or directly."""
    namespace, package, name = key
    binding = store.packages.get(namespace, package) if package else None
    target = binding.document["binding"] if binding else None
    if target:
        action = store.actions.get((target["namespace"], target["name"], name))
        return None if action is None else with_parameters(store, action, binding)
    action = store.actions.get(key)
    return None if action is None else with_parameters(store, action)


def with_parameters(store: Store, action: StoredAction, binding: Entity | None = None) -> Resolved:
    """Add to a version of an action what its package gives, and the binding if there is one."""
    package = store.packages.get(action.namespace, action.package) if action.package else None
    inherited = [
        each for found in (package, binding) if found for each in found.document["parameters"]
    ]
    given = {each["key"]: each for each in [*inherited, *action.document["parameters"]]}
    # "final" makes all parameters final that have a value. Source: docs/annotations.md.
    final = annotation(action.document["annotations"], "final") is True
    return Resolved(
        action,
        {key: each["value"] for key, each in given.items() if not each.get("init")},
        {key: each["value"] for key, each in given.items() if each.get("init")},
        frozenset(key for key, each in given.items() if final and each["value"] is not None),
        tuple(given.values()),
        binding.path if binding else "",
    )


def annotation(annotations: Sequence[Mapping[str, Any]], key: str) -> Any:
    """Return the value of an annotation, or None."""
    return next((each["value"] for each in annotations if each["key"] == key), None)


def full_key(text: str, namespace: str) -> ActionKey:
    """
    Read a full name of an action: ``/namespace/package/name`` or ``/namespace/name``.

    ``_`` means the namespace that is given.

    Raises:
        ValueError: it has another number of parts, or an empty one.
    """
    parts = text.removeprefix("/").split("/")
    if not all(parts) or len(parts) not in (2, 3):
        raise ValueError(
            "The fully qualified name of the entity must contain at least the namespace and the "
            f"name of the entity, such as /_/{parts[-1] or 'NAME'}."
        )
    owner = namespace if parts[0] == "_" else parts[0]
    return (owner, parts[1] if len(parts) == 3 else "", parts[-1])


def relative_key(text: str, namespace: str) -> ActionKey:
    """
    Read a name of an action that may be relative: ``name`` and ``package/name`` are allowed, too.

    Raises:
        ValueError: it has too many parts, or an empty one.
    """
    parts = text.split("/")
    return full_key(text if text.startswith("/") or len(parts) > 2 else f"_/{text}", namespace)
