"""Tell pages that something of their namespace has changed, by server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from hotwhisk.gateway.api.authentication import gateway_of
from hotwhisk.gateway.changes import Changes
from hotwhisk.gateway.page import sessions

PACE_SECONDS: Final = 0.5
"""The least time between two events: under load a page reads itself twice a second."""

SILENCE_SECONDS: Final = 15.0
"""After so long a comment is sent, which finds out whether the browser is still there."""


async def stream(request: Request) -> Response:
    """Send an event without data after each change. The page then reads itself again."""
    try:
        namespace = await run_in_threadpool(sessions.namespace_of, request)
    except sessions.LoginNeeded:
        return Response("Log in first.", 401)
    return StreamingResponse(
        _events(gateway_of(request).changes, namespace.name),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(changes: Changes, namespace: str) -> AsyncIterator[str]:
    with changes.subscribe(namespace) as subscription:
        yield "retry: 500\nevent: open\ndata:\n\n"
        while not subscription.closed:
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    await subscription.wait()
            except TimeoutError:
                yield ":\n\n"
                continue
            if not subscription.closed:
                yield "event: changed\ndata:\n\n"
                await asyncio.sleep(PACE_SECONDS)
