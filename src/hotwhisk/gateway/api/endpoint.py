"""
Lead a request to its endpoint: its key, its body, and what is the same in all answers.

An endpoint is a function of an `ApiRequest`. It runs in a thread, since it uses the store, unless
it is a coroutine function. It refuses by an `ApiError`.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hotwhisk.gateway.api import fields, reading
from hotwhisk.gateway.api.authentication import caller, gateway_of, named
from hotwhisk.gateway.api.errors import (
    CONFLICT,
    EXISTS,
    FORBIDDEN,
    ApiError,
    error_response,
    wrong_method,
)
from hotwhisk.gateway.gateway import Gateway
from hotwhisk.gateway.invocations.resolve import AccessDenied
from hotwhisk.gateway.store.namespaces import Namespace
from hotwhisk.gateway.store.store import Store
from hotwhisk.gateway.store.versions import Conflict

METHODS: Final = ("GET", "HEAD", "PUT", "DELETE", "POST", "PATCH", "OPTIONS")
_LARGE: Final = 1 << 16
"""Bytes of a body from which on it is read in a thread, so that other requests do not wait."""
# Any page may call: it gets nothing without the key. Source: CorsSettings.scala.
_CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": (
        "Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent"
    ),
    "Access-Control-Allow-Methods": "GET, DELETE, POST, PUT, HEAD",
}


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """
    A request with a valid key.

    ``caller`` is the namespace of the key, ``namespace`` the name of the one in the path.
    ``document`` is the body.
    """

    request: Request
    gateway: Gateway
    caller: Namespace
    namespace: str
    document: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def store(self) -> Store:
        """The store of the gateway."""
        return self.gateway.store

    @property
    def name(self) -> str:
        """The name of the entity in the path."""
        return reading.name(self.request.path_params["name"])

    @property
    def package(self) -> str:
        """The package in the path, or empty."""
        found: str = self.request.path_params.get("package", "")
        return reading.name(found) if found else ""

    def check_owner(self) -> str:
        """
        Return the namespace of the path.

        Raises:
            ApiError: 403, it is not the caller's.
        """
        if self.namespace != self.caller.name:
            raise ApiError(403, FORBIDDEN)
        return self.namespace

    def check_put(self, current: object) -> None:
        """
        Refuse to store an entity in the place of ``current``, which is None for a new one.

        Raises:
            ApiError: 409, another kind of entity has the name, or ``overwrite`` is not given.
        """
        if current is not None:
            if not reading.flag(self.request, "overwrite"):
                raise ApiError(409, EXISTS)
        elif not self.package:
            fields.check_free(self.store, self.namespace, self.name)


Endpoint = Callable[[ApiRequest], Response | Awaitable[Response]]


def route(path: str, **endpoints: Endpoint) -> Route:
    """Return the route of a path; the name of each argument is a method."""

    async def answer(request: Request) -> Response:
        try:
            response = await _answer(request, endpoints)
        except ApiError as error:
            response = error_response(request, error)
        except AccessDenied:
            response = error_response(request, ApiError(403, FORBIDDEN))
        except Conflict:
            response = error_response(request, ApiError(409, CONFLICT))
        response.headers.update(_CORS)
        return response

    return Route(path, answer, methods=list(METHODS))


async def _answer(request: Request, endpoints: Mapping[str, Endpoint]) -> Response:
    if request.method == "OPTIONS":
        return Response()
    endpoint = endpoints.get("GET" if request.method == "HEAD" else request.method)
    if endpoint is None:
        raise wrong_method(endpoints)
    namespace = caller(request)
    document: dict[str, Any] = {}
    if request.method in ("PUT", "POST"):
        most = reading.MOST_ENTITY if request.method == "PUT" else reading.MOST_PAYLOAD
        content = await reading.body(request, most)
        kind = request.headers.get("content-type", "")
        if len(content) > _LARGE:
            document = await run_in_threadpool(reading.json_body, content, kind)
        else:
            document = reading.json_body(content, kind)
    path = named(request, namespace) if "namespace" in request.path_params else namespace.name
    given = ApiRequest(request, gateway_of(request), namespace, path, document)
    if inspect.iscoroutinefunction(endpoint):
        response = await endpoint(given)
    else:
        response = await run_in_threadpool(endpoint, given)
    assert isinstance(response, Response)
    return response
