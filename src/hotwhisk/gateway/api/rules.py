"""The routes of rules: create, update, get, list, delete, and set active or inactive."""

from __future__ import annotations

from typing import Any

from starlette.responses import PlainTextResponse, Response

from hotwhisk.gateway.api import fields
from hotwhisk.gateway.api.endpoint import ApiRequest
from hotwhisk.gateway.api.errors import FORBIDDEN, ApiError, JsonResponse, malformed
from hotwhisk.gateway.api.reading import Page
from hotwhisk.gateway.api.triggers import path_and_name
from hotwhisk.gateway.invocations.resolve import full_key, resolve_for
from hotwhisk.gateway.names import joined
from hotwhisk.gateway.store.actions import ActionKey
from hotwhisk.gateway.store.entities import Entity


def put(given: ApiRequest) -> Response:
    """Create a rule, which is active, or update one, which keeps its state."""
    namespace, name = given.check_owner(), given.name
    store = given.store
    current = store.rules.get(namespace, name)
    given.check_put(current)
    stored = store.rules.put(
        namespace,
        name,
        _content(given, current.document if current else {}),
        version=fields.version(given.document),
        expected=current.version if current else "",
    )
    return JsonResponse(_shown(stored))


def get(given: ApiRequest) -> Response:
    """Return a rule with its state."""
    return JsonResponse(_shown(_find(given)))


def delete(given: ApiRequest) -> Response:
    """Remove a rule."""
    rule = _find(given)
    given.store.rules.delete(rule.namespace, rule.name)
    return JsonResponse({**_shown(rule), "status": "inactive"})


def list_all(given: ApiRequest) -> Response:
    """Return the rules of a namespace."""
    page = Page.of(given.request, "rules")
    rules = given.store.rules.list(given.check_owner())
    return JsonResponse(page.of_all([_shown(each) for each in rules], "rules"))


def post(given: ApiRequest) -> Response:
    """Make a rule active or inactive."""
    rule = _find(given)
    status = given.document.get("status")
    if status not in ("active", "inactive"):
        raise malformed("the status of a rule must be active or inactive")
    namespace, _, trigger = rule.document["trigger"].removeprefix("/").partition("/")
    if given.store.triggers.get(namespace, trigger) is None:
        raise ApiError(404, "Only rules with existing triggers can be activated")
    document = {**rule.document, "status": status}
    given.store.rules.put(
        rule.namespace, rule.name, document, version=rule.version, expected=rule.version
    )
    return PlainTextResponse("OK")


def _find(given: ApiRequest) -> Entity:
    found = given.store.rules.get(given.check_owner(), given.name)
    if found is None:
        raise fields.missing(given.store, given.namespace, given.name)
    return found


def _content(given: ApiRequest, before: dict[str, Any]) -> dict[str, Any]:
    document = given.document
    trigger = document.get("trigger") or before.get("trigger")
    action = document.get("action") or before.get("action")
    if trigger is None or action is None:
        raise ApiError(400, "rule requires a valid trigger and a valid action")
    annotations = fields.entries(document, "annotations")
    return {
        "publish": fields.publish(document, before),
        "annotations": before.get("annotations", []) if annotations is None else annotations,
        "status": before.get("status", "active"),
        "trigger": _trigger(given, trigger),
        "action": _action(given, action),
    }


def _trigger(given: ApiRequest, wanted: object) -> str:
    namespace, package, name = _key(given, wanted)
    if namespace != given.caller.name:
        raise ApiError(403, FORBIDDEN)
    if package or given.store.triggers.get(namespace, name) is None:
        raise ApiError(400, f"trigger {namespace}/{name} does not exist")
    return f"/{namespace}/{name}"


def _action(given: ApiRequest, wanted: object) -> str:
    key = _key(given, wanted)
    path = joined(*key)
    if resolve_for(given.store, given.caller.name, key) is None:
        raise ApiError(400, f"action {path} does not exist")
    return f"/{path}"


def _key(given: ApiRequest, wanted: object) -> ActionKey:
    if isinstance(wanted, dict):  # as the API shows a rule
        wanted = f"/{wanted.get('path', '')}/{wanted.get('name', '')}"
    try:
        return full_key(str(wanted), given.caller.name)
    except ValueError as error:
        raise malformed(str(error)) from None


def _shown(rule: Entity) -> dict[str, Any]:
    return {
        "namespace": rule.namespace,
        "name": rule.name,
        "version": rule.version,
        "updated": rule.updated,
        **rule.document,
        "trigger": path_and_name(rule.document["trigger"]),
        "action": path_and_name(rule.document["action"]),
    }
