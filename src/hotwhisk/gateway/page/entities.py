"""Triggers, rules and packages."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from hotwhisk.gateway.api.authentication import gateway_of
from hotwhisk.gateway.page import sessions
from hotwhisk.gateway.page.rendering import view


def index(request: Request) -> Response:
    """List the triggers, rules and packages of a namespace."""
    namespace = sessions.namespace_of(request)
    store = gateway_of(request).store
    return view(
        request,
        namespace,
        "triggers.html",
        section="triggers",
        triggers=store.triggers.list(namespace.name),
        rules=store.rules.list(namespace.name),
        packages=store.packages.list(namespace.name),
    )
