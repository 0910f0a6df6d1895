"""Triggers, rules and packages."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from hotwhisk.gateway.api.authentication import gateway_of
from hotwhisk.gateway.page import sessions
from hotwhisk.gateway.page.rendering import view

MOST_SHOWN: Final = 500
"""Entities of each kind that the page shows, the newest first."""


def index(request: Request) -> Response:
    """List the triggers, rules and packages of a namespace."""
    namespace = sessions.namespace_of(request)
    store = gateway_of(request).store
    found = {
        "rules": store.rules.list(namespace.name),
        "triggers": store.triggers.list(namespace.name),
        "packages": store.packages.list(namespace.name),
    }
    return view(
        request,
        namespace,
        "triggers.html",
        section="triggers",
        more={kind: len(entities) - MOST_SHOWN for kind, entities in found.items()},
        rules=found["rules"][:MOST_SHOWN],
        triggers=found["triggers"][:MOST_SHOWN],
        packages=found["packages"][:MOST_SHOWN],
    )
