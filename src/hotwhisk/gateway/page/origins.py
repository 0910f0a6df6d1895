"""Refuse forms that another site has sent."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from hotwhisk.gateway.page.rendering import error_page


class OwnOrigin:
    """ASGI middleware: only requests of the gateway's own pages pass."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with 403."""
        request = Request(scope)
        if is_own(request):
            await self._app(scope, receive, send)
            return
        text = "Another site has sent this form: send it from the page itself."
        await error_page(request, 403, text)(scope, receive, send)


def is_own(request: Request) -> bool:
    """
    Return whether a request comes from a page of this gateway, or from a program.

    Every browser sends the origin with a form; a program that sends none also needs a session.
    """
    origin = request.headers.get("origin")
    if origin is None:
        return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    return urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower()
