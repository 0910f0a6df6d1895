"""The routes of actions: create, update, get, list, delete."""

from __future__ import annotations

from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hotwhisk.gateway.api import reading
from hotwhisk.gateway.api.authentication import gateway_of, owned
from hotwhisk.gateway.api.errors import EXISTS, NOT_FOUND, ApiError
from hotwhisk.gateway.store.actions import StoredAction
from hotwhisk.gateway.store.store import Store
from hotwhisk.platform.action import is_base64

LIMITS: Final = {"timeout": 60_000, "memory": 256, "logs": 10, "concurrency": 1}


def key_of(request: Request, namespace: str) -> tuple[str, str, str]:
    """Return namespace, package and name of the action in the path."""
    package = request.path_params.get("package", "")
    return (namespace, package, reading.name(request.path_params["name"]))


async def put(request: Request) -> Response:
    """Create or update an action."""
    namespace = owned(request)
    key = key_of(request, namespace.name)
    given = await reading.document(request)
    overwrite = reading.flag(request, "overwrite")
    store = gateway_of(request).store
    return await run_in_threadpool(_put, store, key, given, overwrite=overwrite)


def _put(
    store: Store, key: tuple[str, str, str], given: dict[str, Any], *, overwrite: bool
) -> Response:
    current = store.actions.get(key)
    if current is not None and not overwrite:
        raise ApiError(409, EXISTS)
    given_exec = dict(given.get("exec") or {})
    code = given_exec.pop("code", None)
    if current is not None and not given_exec:
        given_exec = current.document["exec"]
        code = store.actions.code(current.digest) if current.digest else None
    given_exec["binary"] = code is not None and is_base64(code)
    before = current.document if current else {}
    content = {
        "publish": given.get("publish", before.get("publish", False)),
        "exec": given_exec,
        "parameters": given.get("parameters", before.get("parameters", [])),
        "annotations": given.get("annotations", before.get("annotations", [])),
        "limits": {**before.get("limits", LIMITS), **(given.get("limits") or {})},
    }
    stored = store.actions.put(key, content, code)
    return JSONResponse(shown(stored, code))


def get(request: Request) -> Response:
    """Return an action, with its code unless ``code=false``."""
    namespace = owned(request)
    store = gateway_of(request).store
    action = store.actions.get(key_of(request, namespace.name))
    if action is None:
        raise ApiError(404, NOT_FOUND)
    wants_code = request.query_params.get("code", "true") != "false"
    code = store.actions.code(action.digest) if wants_code and action.digest else None
    return JSONResponse(shown(action, code))


def delete(request: Request) -> Response:
    """Remove an action."""
    namespace = owned(request)
    gateway = gateway_of(request)
    key = key_of(request, namespace.name)
    action = gateway.store.actions.get(key)
    if action is None or not gateway.store.actions.delete(key):
        raise ApiError(404, NOT_FOUND)
    gateway.pool.end(action.path)
    return JSONResponse(shown(action))


def list_all(request: Request) -> Response:
    """Return the actions of a namespace, without their code."""
    namespace = owned(request)
    limit, skip = reading.number(request, "limit", 30), reading.number(request, "skip", 0)
    assert limit is not None
    assert skip is not None
    found = gateway_of(request).store.actions.list(
        namespace.name, request.path_params.get("package")
    )
    return JSONResponse([shown(each) for each in found[skip:][: limit or 200]])


def shown(action: StoredAction, code: str | None = None) -> dict[str, Any]:
    """Return an action as the API shows it."""
    content = dict(action.document)
    if code is not None:
        content["exec"] = {**content["exec"], "code": code}
    namespace = f"{action.namespace}/{action.package}" if action.package else action.namespace
    return {
        "namespace": namespace,
        "name": action.name,
        "version": action.version,
        "updated": action.updated,
        **content,
    }
