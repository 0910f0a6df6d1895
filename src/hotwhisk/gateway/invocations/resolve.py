"""Find an action by its name, and merge the parameters of its package with its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hotwhisk.gateway.store.actions import StoredAction
from hotwhisk.gateway.store.store import Store


@dataclass(frozen=True, slots=True)
class Resolved:
    """
    An action as it is called.

    ``parameters`` are the defaults for each call: of the package, then of the action. ``variables``
    are those that its user marked as environment. ``final`` are the names that a call must not set.
    """

    action: StoredAction
    parameters: dict[str, object] = field(hash=False)
    variables: dict[str, object] = field(default_factory=dict, hash=False)
    final: frozenset[str] = frozenset()


def resolve(store: Store, key: tuple[str, str, str]) -> Resolved | None:
    """Return the current version of an action: namespace, package (may be empty), name."""
    action = store.actions.get(key)
    return None if action is None else with_parameters(store, action)


def with_parameters(store: Store, action: StoredAction) -> Resolved:
    """Add to a version of an action what its package gives."""
    package = store.packages.get(action.namespace, action.package) if action.package else None
    inherited = package.document["parameters"] if package else []
    given = {each["key"]: each for each in [*inherited, *action.document["parameters"]]}
    # "final" makes all parameters final that have a value. Source: docs/annotations.md.
    final = annotation(action.document["annotations"], "final") is True
    return Resolved(
        action,
        {key: each["value"] for key, each in given.items() if not each.get("init")},
        {key: each["value"] for key, each in given.items() if each.get("init")},
        frozenset(key for key in given if final),
    )


def annotation(annotations: Sequence[Mapping[str, Any]], key: str) -> Any:
    """Return the value of an annotation, or None."""
    return next((each["value"] for each in annotations if each["key"] == key), None)
