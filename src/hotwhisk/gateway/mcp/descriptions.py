"""Describe actions to agents: by their annotations, and by their source."""

from __future__ import annotations

from typing import Any, Final

from hotwhisk.gateway.invocations.resolve import Resolved, annotation
from hotwhisk.gateway.page.source import read_source
from hotwhisk.gateway.store.actions import StoredAction
from hotwhisk.gateway.store.store import Store
from hotwhisk.mcp.schema import Description, Schema, describe

MOST_KEPT: Final = 1000
"""Descriptions of versions that are kept."""
_TYPES: Final = frozenset({"string", "integer", "number", "boolean", "array", "object"})
"""The types of JSON Schema. The annotation ``parameters`` may have others, such as ``password``."""


class Descriptions:
    """What actions do and take. Any thread may use it."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Description] = {}
        """By the digest of the code and the name of the handler."""

    def describe(self, store: Store, resolved: Resolved) -> Description:
        """
        Describe an action as a caller sees it.

        The annotations ``description`` and ``parameters`` are used before the source. Source:
        apache/openwhisk, docs/annotations.md. What has a default need not be given, and what is
        final must not.
        """
        found = self._of_source(store, resolved.action)
        annotations = resolved.action.document["annotations"]
        text = annotation(annotations, "description")
        members, required = _annotated(found.schema, annotation(annotations, "parameters"))
        schema = dict(found.schema)
        schema["properties"] = {
            name: each for name, each in members.items() if name not in resolved.final
        }
        schema["required"] = [name for name in required if name not in resolved.parameters]
        schema = {key: each for key, each in schema.items() if each}
        return Description(text if isinstance(text, str) else found.text, schema)

    def _of_source(self, store: Store, action: StoredAction) -> Description:
        main = action.document["exec"].get("main") or "main"
        if action.digest is None:
            return Description()
        key = (action.digest, main)
        found = self._known.get(key)
        if found is None:
            code = store.actions.code(action.digest)
            text = read_source(code).text if code else None
            found = describe(text, main) if text else Description()
            if len(self._known) >= MOST_KEPT:
                self._known.clear()
            self._known[key] = found
        return found


def _annotated(schema: Schema, parameters: Any) -> tuple[dict[str, Schema], list[str]]:
    """Return the members and the names of the required ones, with those of the annotation."""
    members: dict[str, Schema] = dict(schema.get("properties", {}))
    required = dict.fromkeys(schema.get("required", ()))
    for each in parameters if isinstance(parameters, list) else ():
        if not isinstance(each, dict) or not isinstance(each.get("name"), str):
            continue
        name, added = each["name"], {}
        if isinstance(each.get("description"), str):
            added["description"] = each["description"]
        if each.get("type") in _TYPES:
            added["type"] = each["type"]
        members[name] = {**members.get(name, {}), **added}
        if each.get("required") is True:
            required[name] = None
    return members, list(required)
