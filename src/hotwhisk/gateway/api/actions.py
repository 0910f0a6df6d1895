"""The routes of actions: create, update, get, list, delete."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from hotwhisk.gateway.api import action_kinds, fields, limits
from hotwhisk.gateway.api.endpoint import ApiRequest
from hotwhisk.gateway.api.errors import (
    NOT_FOUND,
    NOT_ON_BINDING,
    ApiError,
    JsonResponse,
)
from hotwhisk.gateway.api.fields import Entries
from hotwhisk.gateway.api.reading import Page, flag
from hotwhisk.gateway.invocations import sequences
from hotwhisk.gateway.invocations.resolve import (
    Resolved,
    annotation,
    readable_package,
    resolve_for,
)
from hotwhisk.gateway.names import joined
from hotwhisk.gateway.store.actions import ActionKey, StoredAction


def put(given: ApiRequest) -> Response:
    """Create or update an action."""
    key = _writable(given)
    store = given.store
    current = store.actions.get(key)
    given.check_put(current)
    document, code = _content(given, current)
    if "components" in document["exec"]:
        try:
            components = document["exec"]["components"]
            sequences.check(store, given.caller.name, key, components)
        except sequences.BadSequence as error:
            raise ApiError(400, str(error)) from None
    stored = store.actions.put(
        key,
        document,
        code,
        version=fields.version(given.document),
        expected=current.version if current else "",
    )
    return JsonResponse(shown(stored, code))


def get(given: ApiRequest) -> Response:
    """Return an action, with its code unless ``code=false``."""
    found = find(given)
    digest = found.action.digest
    wants_code = flag(given.request, "code", default=True)
    code = given.store.actions.code(digest) if wants_code and digest else None
    return JsonResponse({**shown(found.action, code), "parameters": list(found.defaults)})


def delete(given: ApiRequest) -> Response:
    """Remove an action."""
    key = _writable(given)
    action = given.store.actions.get(key)
    if action is None or not given.store.actions.delete(key):
        raise _missing(given)
    given.gateway.pool.end(action.path)
    return JsonResponse(shown(action))


def list_all(given: ApiRequest) -> Response:
    """Return the actions of a namespace or of a package, without their code and parameters."""
    namespace, package = given.namespace, given.package or None
    page = Page.of(given.request, "actions")
    if package is None:
        given.check_owner()
    else:
        found = readable_package(given.store, given.caller.name, namespace, package)
        if found is None:
            raise ApiError(404, NOT_FOUND)
        if target := found.document["binding"]:
            namespace, package = target["namespace"], target["name"]
            readable_package(given.store, given.caller.name, namespace, package)
    actions = given.store.actions.list(namespace, package)
    return JsonResponse(page.of_all([_summary(each) for each in actions], "actions"))


def find(given: ApiRequest) -> Resolved:
    """
    Return the action in the path, which the caller may read and call.

    Raises:
        ApiError: 403, 404, or 409 if it is no action.
    """
    key = (given.namespace, given.package, given.name)
    found = resolve_for(given.store, given.caller.name, key)
    if found is None:
        raise _never_loaded(given) or _missing(given)
    return found


def shown(action: StoredAction, code: str | None = None) -> dict[str, Any]:
    """Return an action as the API shows it."""
    content = dict(action.document)
    if code is not None:
        content["exec"] = {**content["exec"], "code": code}
    return {
        "namespace": action.path.rpartition("/")[0],
        "name": action.name,
        "version": action.version,
        "updated": action.updated,
        **content,
    }


def _summary(action: StoredAction) -> dict[str, Any]:
    content = shown(action)
    del content["parameters"]
    return {**content, "exec": {"binary": content["exec"].get("binary", False)}}


def _never_loaded(given: ApiRequest) -> ApiError | None:
    """Return why an action that `hotwhisk.gateway.dev` knows is not there, or None."""
    name = joined(given.package, given.name)
    problem = given.gateway.problems.get(given.namespace, name)
    return ApiError(404, f"{problem.title}\n\n{problem.text}") if problem else None


def _missing(given: ApiRequest) -> ApiError:
    if given.package:
        return ApiError(404, NOT_FOUND)
    return fields.missing(given.store, given.namespace, given.name)


def _writable(given: ApiRequest) -> ActionKey:
    """Return the key of the action in the path, whose package must be the caller's and exist."""
    given.check_owner()
    if given.package:
        package = given.store.packages.get(given.namespace, given.package)
        if package is None:
            raise ApiError(404, NOT_FOUND)
        if package.document["binding"]:
            raise ApiError(400, NOT_ON_BINDING)
    return (given.namespace, given.package, given.name)


def _content(given: ApiRequest, current: StoredAction | None) -> tuple[dict[str, Any], str | None]:
    """Return the document and the code: what is given, and for the rest what there was."""
    document = given.document
    before = current.document if current else {}
    if document.get("exec") is not None:
        executable, code = action_kinds.check_exec(document["exec"], given.namespace)
    elif current is None:
        raise ApiError(400, "exec undefined")
    else:
        executable = before["exec"]
        code = given.store.actions.code(current.digest) if current.digest else None
    content = {
        "publish": fields.publish(document, before),
        "exec": executable,
        "parameters": _parameters(document, executable, before),
        "annotations": _annotations(document, executable, before),
        "limits": limits.checked(document.get("limits"), before.get("limits", limits.DEFAULTS)),
    }
    return content, code


def _parameters(
    document: dict[str, Any], executable: dict[str, Any], before: dict[str, Any]
) -> Entries:
    given = fields.entries(document, "parameters")
    if "components" in executable:
        # The platform keeps the components here too, and no other parameters.
        return [{"key": "_actions", "value": executable["components"]}]
    if given is not None:
        return given
    was_sequence = "components" in before.get("exec", {})
    return [] if was_sequence else before.get("parameters", [])


def _annotations(
    document: dict[str, Any], executable: dict[str, Any], before: dict[str, Any]
) -> Entries:
    removed = fields.texts(document, "delAnnotations")
    kept = fields.without(before.get("annotations", []), *removed)
    found = fields.merged(kept, fields.entries(document, "annotations"))
    if not before and annotation(found, "provide-api-key") is None:
        found = [*found, {"key": "provide-api-key", "value": False}]
    return fields.merged(found, [{"key": "exec", "value": executable["kind"]}])
