"""
Every route of the API.

The more special path comes first where two match, since ``{name}`` matches any part of a path.
"""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from hotwhisk.gateway.api import (
    actions,
    activations,
    invoking,
    limits,
    namespaces,
    operation,
    packages,
    rules,
    triggers,
    web,
)
from hotwhisk.gateway.api.endpoint import METHODS, Endpoint, route
from hotwhisk.gateway.mcp.route import route as mcp_route

_NAMESPACES: Final = "/api/v1/namespaces"
_NAMESPACE: Final = f"{_NAMESPACES}/{{namespace}}"


class _NotForBrowsers(Route):
    """A route that leaves the requests that accept HTML to the page."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if "text/html" in Headers(scope=scope).get("accept", ""):
            return Match.NONE, {}
        return super().matches(scope)


def routes() -> list[BaseRoute]:
    """Return all routes but those of the page."""
    return [
        Route("/healthz", operation.healthz),
        Route("/readyz", operation.readyz),
        Route("/metrics", operation.metrics),
        Route("/api/v1", namespaces.version),
        mcp_route("/mcp"),
        *_of_namespaces(),
        *(
            Route(path, web.answer, methods=list(METHODS))
            for path in (
                "/api/v1/web/{namespace}/{package}/{name}",
                "/api/v1/web/{namespace}/{package}/{name}/{rest:path}",
            )
        ),
        _NotForBrowsers("/", namespaces.root),
    ]


def _of_namespaces() -> list[BaseRoute]:
    action: dict[str, Endpoint] = {
        "GET": actions.get, "PUT": actions.put, "DELETE": actions.delete, "POST": invoking.post,
    }  # fmt: skip
    found: list[BaseRoute] = [
        *_both(_NAMESPACES, GET=namespaces.list_all),
        *_both(f"{_NAMESPACE}/limits", GET=limits.get),
        *_both(f"{_NAMESPACE}/actions", GET=actions.list_all),
        route(f"{_NAMESPACE}/actions/{{name}}", **action),
        route(f"{_NAMESPACE}/actions/{{package}}/", GET=actions.list_all),
        route(f"{_NAMESPACE}/actions/{{package}}/{{name}}", **action),
        *_both(f"{_NAMESPACE}/activations", GET=activations.list_all),
        *_both(f"{_NAMESPACE}/activations/{{id}}", GET=activations.get),
        route(f"{_NAMESPACE}/activations/{{id}}/logs", GET=activations.logs),
        route(f"{_NAMESPACE}/activations/{{id}}/result", GET=activations.result),
    ]
    for collection, module in (("packages", packages), ("triggers", triggers), ("rules", rules)):
        methods: dict[str, Endpoint] = {
            "GET": module.get, "PUT": module.put, "DELETE": module.delete,
        }  # fmt: skip
        if module is not packages:
            methods["POST"] = module.post
        found += _both(f"{_NAMESPACE}/{collection}", GET=module.list_all)
        found.append(route(f"{_NAMESPACE}/{collection}/{{name}}", **methods))
    return found


def _both(path: str, **endpoints: Endpoint) -> list[BaseRoute]:
    """Return the routes of a path with and without a slash at its end."""
    return [route(path, **endpoints), route(f"{path}/", **endpoints)]
