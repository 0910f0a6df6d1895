"""
Keep a browser logged in by a cookie that does not hold the key.

The cookie names the namespace and the time at which it ends, and is signed with the namespace's
key. So the gateway remembers nothing, a restart logs nothing out, and a new key ends all sessions.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from hotwhisk.gateway.api.authentication import gateway_of
from hotwhisk.gateway.store.namespaces import Namespace

SECONDS: Final = 7 * 86_400


class LoginNeeded(Exception):
    """The request bears no session that is valid."""


def namespace_of(request: Request) -> Namespace:
    """
    Return the namespace to which the browser is logged in.

    Raises:
        LoginNeeded: to none.
    """
    cookie = request.cookies.get(_name(request), "")
    identifier, _, rest = cookie.partition(".")
    ends, _, signature = rest.partition(".")
    namespace = gateway_of(request).store.namespaces.with_uuid(identifier)
    if namespace is None or not hmac.compare_digest(
        signature.encode(), _signature(namespace, ends).encode()
    ):
        raise LoginNeeded
    if int(ends) < time.time():
        raise LoginNeeded
    return namespace


def begin(request: Request, response: Response, namespace: Namespace) -> None:
    """Log a browser in."""
    ends = str(int(time.time()) + SECONDS)
    response.set_cookie(
        _name(request),
        f"{namespace.uuid}.{ends}.{_signature(namespace, ends)}",
        max_age=SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


def end(request: Request, response: Response) -> None:
    """Log a browser out."""
    response.delete_cookie(_name(request), httponly=True, samesite="strict")


def _signature(namespace: Namespace, ends: str) -> str:
    text = f"session of hotwhisk's page: {namespace.uuid} until {ends}"
    return hmac.new(namespace.key.encode(), text.encode(), hashlib.sha256).hexdigest()


def _name(request: Request) -> str:
    """Return the name of the cookie; browsers send a cookie to all ports of a machine."""
    return f"hotwhisk-{gateway_of(request).settings.port}"
