"""
Name, count and log requests, around the whole application.

Each request gets an identifier. The answer bears it as ``X-Request-ID``, an error as its ``code``,
and the log as ``requestId``.
"""

from __future__ import annotations

import logging
import secrets
import time
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hotwhisk.gateway.log import log_event
from hotwhisk.gateway.metrics import Metrics

_REFUSED: Final = (401, 403, 429)


class RequestLog:
    """
    An ASGI application around another.

    It writes a line for each refused request, and with ``every`` for all of them. A line has the
    path without the query, which may hold secrets.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, *, every: bool) -> None:
        self._app = app
        self._metrics = metrics
        self._every = every

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identifier = secrets.token_hex(16)
        scope.setdefault("state", {})["request_id"] = identifier
        answer: Message = {"status": 500, "headers": []}

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(raw=message["headers"])["X-Request-ID"] = identifier
                answer.update(message)
            await send(message)

        self._metrics.request_began()
        begin = time.perf_counter()
        try:
            await self._app(scope, receive, send_named)
        finally:
            seconds = time.perf_counter() - begin
            self._metrics.request_ended(scope["method"], answer["status"], seconds)
            if self._every or answer["status"] in _REFUSED:
                _log(scope, answer, seconds)


def _log(scope: Scope, answer: Message, seconds: float) -> None:
    status, client = answer["status"], (scope.get("client") or ("-",))[0]
    refused = status in _REFUSED
    fields: dict[str, Any] = {
        "requestId": scope["state"]["request_id"],
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "duration_ms": round(seconds * 1000, 1),
        "client": client,
    }
    activation = Headers(raw=answer["headers"]).get("x-openwhisk-activation-id")
    if activation is not None:
        fields["activation_id"] = activation
    parent = Headers(scope=scope).get("traceparent", "").split("-")
    if len(parent) == 4:
        fields["trace_id"] = parent[1]
    log_event(
        f"{'refused ' if refused else ''}{scope['method']} {scope['path']} {status} "
        f"{seconds * 1000:.1f} ms, from {client}",
        level=logging.WARNING if refused else logging.INFO,
        **fields,
    )
