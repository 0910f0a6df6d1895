"""Every route of the API."""

from __future__ import annotations

from starlette.routing import BaseRoute, Mount, Route

from hotwhisk.gateway.api import actions, activations, invoking, operation


def routes() -> list[BaseRoute]:
    """Return all routes."""
    entity = "/{namespace}/actions/{name}"
    packaged = "/{namespace}/actions/{package}/{name}"
    named = [
        Route(path, endpoint, methods=[method])
        for path in (entity, packaged)
        for method, endpoint in (
            ("GET", actions.get),
            ("PUT", actions.put),
            ("DELETE", actions.delete),
            ("POST", invoking.post),
        )
    ]
    return [
        Route("/healthz", operation.healthz),
        Route("/readyz", operation.readyz),
        Route("/metrics", operation.metrics),
        Mount(
            "/api/v1/namespaces",
            routes=[
                Route("/{namespace}/actions", actions.list_all),
                *named,
                Route("/{namespace}/activations", activations.list_all),
                Route("/{namespace}/activations/{id}", activations.get),
                Route("/{namespace}/activations/{id}/logs", activations.logs),
                Route("/{namespace}/activations/{id}/result", activations.result),
            ],
        ),
    ]
