"""The routes of packages and of bindings: create, update, get, list, delete."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from hotwhisk.gateway.api import fields
from hotwhisk.gateway.api.endpoint import ApiRequest
from hotwhisk.gateway.api.errors import (
    NOT_FOUND,
    ApiError,
    JsonResponse,
    malformed,
)
from hotwhisk.gateway.api.reading import Page, flag
from hotwhisk.gateway.invocations.resolve import annotation, readable_package
from hotwhisk.gateway.store.actions import StoredAction
from hotwhisk.gateway.store.entities import Entity

NO_PACKAGE: Final = "Binding references a package that does not exist."
NO_BINDING: Final = "Resource is a package and cannot be converted into a binding."
NOT_TWICE: Final = "Cannot bind to another package binding."


def put(given: ApiRequest) -> Response:
    """Create or update a package or a binding."""
    namespace, name = given.check_owner(), given.name
    if name == "default":
        raise ApiError(400, "Package name 'default' is reserved.")
    store = given.store
    current = store.packages.get(namespace, name)
    given.check_put(current)
    stored = store.packages.put(
        namespace,
        name,
        _content(given, current),
        version=fields.version(given.document),
        expected=current.version if current else "",
    )
    return JsonResponse(_shown(stored))


def get(given: ApiRequest) -> Response:
    """Return a package with its actions; a binding with those of its package."""
    package = _find(given)
    source, parameters = package, package.document["parameters"]
    if target := package.document["binding"]:
        caller = given.caller.name
        bound = readable_package(given.store, caller, target["namespace"], target["name"])
        if bound is None:
            raise ApiError(404, NOT_FOUND)
        source = bound
        parameters = fields.merged(bound.document["parameters"], parameters)
    actions = given.store.actions.list(source.namespace, source.name)
    feeds = [each for each in actions if _is_feed(each)]
    return JsonResponse(
        {
            **_shown(package),
            "parameters": parameters,
            "actions": [_member(each) for each in actions if each not in feeds],
            "feeds": [_member(each) for each in feeds],
        }
    )


def delete(given: ApiRequest) -> Response:
    """Remove a package that is empty; with ``force`` its actions, too."""
    namespace, name = given.check_owner(), given.name
    package = _find(given)
    actions = given.store.actions.list(namespace, name)
    if actions and not flag(given.request, "force"):
        entities = "entity" if len(actions) == 1 else "entities"
        raise ApiError(409, f"Package not empty (contains {len(actions)} {entities})")
    for action in actions:
        given.store.actions.delete((namespace, name, action.name))
        given.gateway.pool.end(action.path)
    given.store.packages.delete(namespace, name)
    return JsonResponse(_shown(package))


def list_all(given: ApiRequest) -> Response:
    """Return the packages of a namespace; of another one those that are public."""
    page = Page.of(given.request, "packages")
    own = given.namespace == given.caller.name
    packages = given.store.packages.list(given.namespace)
    found = [_summary(each) for each in packages if own or each.document["publish"]]
    return JsonResponse(page.of_all(found, "packages"))


def _find(given: ApiRequest) -> Entity:
    found = readable_package(given.store, given.caller.name, given.namespace, given.name)
    if found is None:
        raise fields.missing(given.store, given.namespace, given.name)
    return found


def _content(given: ApiRequest, current: Entity | None) -> dict[str, Any]:
    document = given.document
    before = current.document if current else {}
    binding = before.get("binding", {})
    if wanted := document.get("binding"):
        if before and not binding:
            raise ApiError(409, NO_BINDING)
        binding = _binding(given, wanted)
    annotations = fields.entries(document, "annotations")
    if annotations is None:
        annotations = before.get("annotations", [])
    annotations = fields.without(annotations, "binding")
    if binding:
        annotations.append({"key": "binding", "value": binding})
    parameters = fields.entries(document, "parameters")
    return {
        "publish": fields.publish(document, before),
        "annotations": annotations,
        "parameters": before.get("parameters", []) if parameters is None else parameters,
        "binding": binding,
    }


def _binding(given: ApiRequest, wanted: object) -> dict[str, str]:
    """Return the namespace and the name of the package to bind to, which must exist."""
    if not isinstance(wanted, dict) or not isinstance(wanted.get("name"), str):
        raise malformed("binding malformed: it must have a namespace and a name")
    namespace = wanted.get("namespace") or "_"
    namespace = given.caller.name if namespace == "_" else str(namespace)
    target = readable_package(given.store, given.caller.name, namespace, wanted["name"])
    if target is None:
        raise ApiError(400, NO_PACKAGE)
    if target.document["binding"]:
        raise ApiError(400, NOT_TWICE)
    return {"namespace": namespace, "name": target.name}


def _shown(package: Entity) -> dict[str, Any]:
    return {
        "namespace": package.namespace,
        "name": package.name,
        "version": package.version,
        "updated": package.updated,
        **package.document,
    }


def _summary(package: Entity) -> dict[str, Any]:
    content = _shown(package)
    del content["parameters"]
    return content


def _is_feed(action: StoredAction) -> bool:
    return annotation(action.document["annotations"], "feed") is True


def _member(action: StoredAction) -> dict[str, Any]:
    annotations = action.document["annotations"]
    return {"name": action.name, "version": action.version, "annotations": annotations}
