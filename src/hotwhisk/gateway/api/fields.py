"""Check the fields that all entities have: parameters, annotations, version, publish."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from hotwhisk.gateway.api.errors import NOT_FOUND, OTHER_COLLECTION, ApiError, malformed, too_large
from hotwhisk.gateway.api.reading import MOST_PAYLOAD
from hotwhisk.gateway.store.store import Store

Entries = list[dict[str, Any]]
"""Parameters or annotations as the API has them: ``{"key": …, "value": …}`` each."""

_VERSION: Final = re.compile(r"[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}")


def entries(given: dict[str, Any], field: str) -> Entries | None:
    """
    Return parameters or annotations, each key once; None if the field is missing.

    Raises:
        ApiError: 400, it is no list of keys and values; 413, it is over 1 MB.
    """
    found = given.get(field)
    if found is None:
        return None
    if not isinstance(found, list) or not all(_is_entry(each) for each in found):
        raise malformed(f"{field} malformed!")
    size = len(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))
    if size > MOST_PAYLOAD:
        raise too_large(field, size, MOST_PAYLOAD)
    return list({each["key"]: _entry(each) for each in found}.values())


def texts(given: dict[str, Any], field: str) -> list[str]:
    """Return a field that is a list of texts; empty if it is missing."""
    found = given.get(field) or []
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise malformed(f"{field} malformed!")
    return found


def merged(old: Entries, new: Entries | None) -> Entries:
    """Return entries with others added, which replace those of the same key."""
    return list({each["key"]: each for each in [*old, *(new or [])]}.values())


def without(old: Entries, *keys: str) -> Entries:
    """Return entries but for some keys."""
    return [each for each in old if each["key"] not in keys]


def publish(given: dict[str, Any], before: dict[str, Any]) -> bool:
    """Return whether an entity is public."""
    found = given.get("publish")
    if found is None:
        return bool(before.get("publish", False))
    if not isinstance(found, bool):
        raise malformed("Expected Boolean as JsTrue or JsFalse for the field publish")
    return found


def version(given: dict[str, Any]) -> str | None:
    """Return the version that a client wants, or None."""
    found = given.get("version")
    if found is not None and not (isinstance(found, str) and _VERSION.fullmatch(found)):
        raise malformed("semantic version malformed: it must be three numbers such as 0.0.1")
    return found


def missing(store: Store, namespace: str, name: str) -> ApiError:
    """Return the refusal for an entity that is not there, or that is of another kind."""
    kinds = (store.packages, store.triggers, store.rules)
    other = store.actions.get((namespace, "", name)) is not None or any(
        kind.get(namespace, name) is not None for kind in kinds
    )
    return ApiError(409, OTHER_COLLECTION) if other else ApiError(404, NOT_FOUND)


def check_free(store: Store, namespace: str, name: str) -> None:
    """
    Refuse the name of a new entity if one of another kind has it.

    Raises:
        ApiError: 409.
    """
    error = missing(store, namespace, name)
    if error.status == 409:
        raise error


def _is_entry(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("key"), str) and bool(entry["key"])


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    kept = {"key": entry["key"], "value": entry.get("value")}
    return {**kept, "init": True} if entry.get("init") is True else kept
