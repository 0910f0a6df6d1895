"""
The route of web actions, which need no key: ``/api/v1/web/NAMESPACE/PACKAGE/ACTION``.

An action is one if it has the annotation ``web-export``. It runs for the namespace that owns it.
``require-whisk-auth`` makes it ask for a key, or for a secret in a header. Source:
docs/webactions.md and ``WebActions.scala`` of apache/openwhisk.
"""

from __future__ import annotations

import secrets
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from hotwhisk.gateway.api import reading
from hotwhisk.gateway.api.authentication import gateway_of, namespace_of
from hotwhisk.gateway.api.errors import (
    NO_KEY,
    NOT_ALLOWED,
    NOT_FOUND,
    NOT_READY,
    ApiError,
    error_response,
    request_id,
)
from hotwhisk.gateway.api.invoking import MOST_SECONDS, finished, headers
from hotwhisk.gateway.api.web_request import WebRequest
from hotwhisk.gateway.api.web_response import NO_PROPERTY, split_extension, web_response
from hotwhisk.gateway.invocations.resolve import AccessDenied, Resolved, annotation, resolve_for
from hotwhisk.gateway.store.activations import StoredActivation
from hotwhisk.gateway.store.namespaces import Namespace

FAILED: Final = "There was an error processing your request."
_ALLOWED_HEADERS: Final = (
    "Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent"
)
_ALLOWED_METHODS: Final = "OPTIONS, GET, DELETE, POST, PUT, HEAD, PATCH"
_PARTS_BEFORE: Final = 7
"""Parts of a path up to the name of the action: empty, api, v1, web, namespace, package, name."""


async def answer(request: Request) -> Response:
    """Invoke a web action, and answer with what it returns."""
    delegates = False
    try:
        name, extension = split_extension(request.path_params["name"])
        owner, action = await run_in_threadpool(_find, request, name)
        # The action itself may say which pages may call it.
        delegates = _annotation(action, "web-custom-options") is not True
        if request.method == "OPTIONS" and delegates:
            response = Response()
        else:
            response = await _invoke(request, owner, action, extension)
    except ApiError as error:
        response = error_response(request, error)
    if delegates:
        _allow_origins(request, response)
    return response


def _find(request: Request, name: str) -> tuple[Namespace, Resolved]:
    """Return the owner of a web action, and the action."""
    store = gateway_of(request).store
    namespace, package = request.path_params["namespace"], request.path_params["package"]
    owner = store.namespaces.named(namespace)
    if owner is None:
        raise ApiError(404, NOT_FOUND)
    key = (namespace, "" if package == "default" else package, reading.name(name))
    try:
        found = resolve_for(store, namespace, key)
    except AccessDenied:
        found = None
    if found is None or _annotation(found, "web-export") is not True:
        raise ApiError(404, NOT_FOUND)
    return owner, found


async def _invoke(request: Request, owner: Namespace, action: Resolved, extension: str) -> Response:
    gateway = gateway_of(request)
    user = namespace_of(gateway.store, request.headers.get("authorization", ""))
    if request.method != "OPTIONS" and not _may_call(request, action, user):
        raise ApiError(401, NO_KEY)
    given = WebRequest(
        request.method,
        _rest_of_path(request),
        request.url.query,
        dict(request.headers),
        await reading.body(request, reading.MOST_PAYLOAD),
        user.name if user else None,
    )
    raw = _annotation(action, "raw-http") is True
    if not raw and given.overrides(action.final):
        raise ApiError(400, NOT_ALLOWED)
    return await _call(request, owner, action, given.argument(raw=raw), extension)


async def _call(
    request: Request, owner: Namespace, action: Resolved, argument: object, extension: str
) -> Response:
    invocations = gateway_of(request).invocations
    call = invocations.new_call(owner, action, argument, transaction=request_id(request))
    activation = await finished(invocations, call, MOST_SECONDS)
    named = headers(call.id)
    if activation is None:
        raise ApiError(202, NOT_READY, named)
    try:
        response = web_response(_result(activation), extension)
    except ApiError as error:
        raise ApiError(error.status, error.text, named) from None
    response.headers.update(named)
    return response


def _result(activation: StoredActivation) -> object:
    """Return what is to be answered: of an error only its value."""
    response = activation.record["response"]
    if response["statusCode"] == 0:
        return response["result"]
    if response["statusCode"] != 1:
        raise ApiError(400, FAILED)
    if not isinstance(response["result"], dict) or "error" not in response["result"]:
        raise ApiError(404, NO_PROPERTY)
    return response["result"]["error"]


def _may_call(request: Request, action: Resolved, user: Namespace | None) -> bool:
    wanted = _annotation(action, "require-whisk-auth")
    if wanted is None:
        return True
    if wanted is True:
        return user is not None
    if isinstance(wanted, bool) or not isinstance(wanted, str | int | float):
        return False
    given = request.headers.get("x-require-whisk-auth", "")
    return secrets.compare_digest(str(wanted).encode(), given.encode())


def _allow_origins(request: Request, response: Response) -> None:
    asked = request.headers.get("access-control-request-headers")
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Allow-Methods"] = _ALLOWED_METHODS
    response.headers["Access-Control-Allow-Headers"] = asked or _ALLOWED_HEADERS


def _rest_of_path(request: Request) -> str:
    """Return what follows the name of the action in the path, as it came."""
    path: str = request.scope["raw_path"].decode("latin-1").partition("?")[0]
    parts = path.split("/", _PARTS_BEFORE)
    return f"/{parts[_PARTS_BEFORE]}" if len(parts) > _PARTS_BEFORE else ""


def _annotation(action: Resolved, key: str) -> object:
    return annotation(action.action.document["annotations"], key)
