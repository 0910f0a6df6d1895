"""The routes of triggers: create, update, get, list, delete, fire."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from hotwhisk.gateway.api import fields
from hotwhisk.gateway.api.endpoint import ApiRequest
from hotwhisk.gateway.api.errors import ApiError, JsonResponse
from hotwhisk.gateway.api.invoking import headers
from hotwhisk.gateway.api.reading import Page
from hotwhisk.gateway.invocations import firing
from hotwhisk.gateway.invocations.resolve import annotation
from hotwhisk.gateway.store.entities import Entity
from hotwhisk.gateway.store.store import Store


def put(given: ApiRequest) -> Response:
    """Create or update a trigger."""
    namespace, name = given.check_owner(), given.name
    store = given.store
    current = store.triggers.get(namespace, name)
    given.check_put(current)
    stored = store.triggers.put(
        namespace,
        name,
        _content(given.document, current.document if current else {}),
        version=fields.version(given.document),
        expected=current.version if current else "",
    )
    return JsonResponse(_shown(store, stored))


def get(given: ApiRequest) -> Response:
    """Return a trigger with its rules."""
    return JsonResponse(_shown(given.store, _find(given)))


def delete(given: ApiRequest) -> Response:
    """Remove a trigger; its rules stay and become inactive."""
    trigger = _find(given)
    content = _shown(given.store, trigger)
    for rule in firing.rules_of(given.store, trigger):
        document = {**rule.document, "status": "inactive"}
        given.store.rules.put(rule.namespace, rule.name, document, version=rule.version)
    given.store.triggers.delete(trigger.namespace, trigger.name)
    return JsonResponse(content)


def list_all(given: ApiRequest) -> Response:
    """Return the triggers of a namespace."""
    page = Page.of(given.request, "triggers")
    triggers = given.store.triggers.list(given.check_owner())
    return JsonResponse(page.of_all([_summary(each) for each in triggers], "triggers"))


def post(given: ApiRequest) -> Response:
    """Fire a trigger: 202 with an activation id, or 204 if no rule is active."""
    trigger = _find(given)
    identifier = firing.fire(given.gateway.invocations, given.caller, trigger, given.document)
    if identifier is None:
        return Response(status_code=204)
    return JsonResponse({"activationId": identifier}, 202, headers(identifier))


def _find(given: ApiRequest) -> Entity:
    found = given.store.triggers.get(given.check_owner(), given.name)
    if found is None:
        raise fields.missing(given.store, given.namespace, given.name)
    return found


def _content(document: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {"publish": fields.publish(document, before), "limits": {}}
    for field in ("annotations", "parameters"):
        found = fields.entries(document, field)
        content[field] = before.get(field, []) if found is None else found
    feed = annotation(content["annotations"], "feed")
    if not before and feed is not None and not (isinstance(feed, str) and feed.strip("/")):
        raise ApiError(400, "Feed name is not valid")
    return content


def _shown(store: Store, trigger: Entity) -> dict[str, Any]:
    rules = {
        rule.path: {
            "action": path_and_name(rule.document["action"]),
            "status": rule.document["status"],
        }
        for rule in firing.rules_of(store, trigger)
    }
    return {**_summary(trigger), "parameters": trigger.document["parameters"], "rules": rules}


def _summary(trigger: Entity) -> dict[str, Any]:
    content = dict(trigger.document)
    del content["parameters"]
    return {
        "namespace": trigger.namespace,
        "name": trigger.name,
        "version": trigger.version,
        "updated": trigger.updated,
        **content,
    }


def path_and_name(full_name: str) -> dict[str, str]:
    """Return the full name of an entity in the two parts in which rules show it."""
    path, _, name = full_name.removeprefix("/").rpartition("/")
    return {"path": path, "name": name}
