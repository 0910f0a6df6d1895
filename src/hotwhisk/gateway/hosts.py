"""
Refuse requests that name a foreign host.

A page on the web can give its own name the address of this machine (DNS rebinding). The browser
then takes the gateway for a part of that page, but the requests bear the foreign name. A name that
is an address cannot be rebound.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class OwnHosts:
    """ASGI middleware: only requests for this machine pass; ``names`` are further names of it."""

    def __init__(self, app: ASGIApp, names: Collection[str] = ()) -> None:
        self._app = app
        self._names = {name.lower() for name in (*names, socket.gethostname(), "localhost")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with 421."""
        if scope["type"] == "http":
            names = map(name_of, Request(scope).headers.getlist("host"))
            foreign = next((name for name in names if not self._is_own(name)), None)
            if foreign is not None:
                text = (
                    f"This server is not called {foreign!r}: use its address, or start it "
                    "with --name NAME."
                )
                await JSONResponse({"error": text}, 421)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_own(self, name: str) -> bool:
        if name in self._names or name.endswith(".localhost"):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def name_of(host: str) -> str:
    """Return the name in a Host header, without the port and without the brackets of IPv6."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()
