"""The routes for those who operate the gateway: health, readiness, metrics."""

from __future__ import annotations

import sqlite3

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from hotwhisk.gateway.api.authentication import caller, gateway_of
from hotwhisk.gateway.store.database import describe


def healthz(_: Request) -> Response:
    """Answer 200: the process serves."""
    return PlainTextResponse("ok\n")


def readyz(request: Request) -> Response:
    """Answer 200 if the database can be read and written and no stop has begun, else 503."""
    gateway = gateway_of(request)
    if gateway.stopping.is_set():
        return PlainTextResponse("stopping\n", 503)
    try:
        gateway.store.database.check()
        gateway.store.namespaces.all()
    except sqlite3.Error as error:
        return PlainTextResponse(f"the database cannot be used: {describe(error)}\n", 503)
    return PlainTextResponse("ok\n")


def metrics(request: Request) -> Response:
    """Return the metrics of the namespace whose key the request bears."""
    namespace = caller(request)
    content, content_type = gateway_of(request).metrics.shown(
        namespace.name, request.headers.get("accept", "")
    )
    return Response(content, headers={"Content-Type": content_type})
