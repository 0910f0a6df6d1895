"""The list of all actions."""

from __future__ import annotations

import time
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from hotwhisk.gateway.api.authentication import gateway_of
from hotwhisk.gateway.page import sessions
from hotwhisk.gateway.page.rendering import view
from hotwhisk.gateway.store.statistics import MOST_CALLS, Summary

WINDOW_MS: Final = 86_400_000
"""The list counts the calls of so many milliseconds."""


def index(request: Request) -> Response:
    """Show all actions with their calls, errors and times."""
    namespace = sessions.namespace_of(request)
    store = gateway_of(request).store
    since = int(time.time() * 1000) - WINDOW_MS
    summaries = store.statistics.summaries(namespace.name, since)
    actions = sorted(store.actions.list(namespace.name), key=lambda each: each.path)
    rows = [(each, summaries.get((each.package, each.name), Summary())) for each in actions]
    return view(request, namespace, "actions.html", section="actions", rows=rows, most=MOST_CALLS)
