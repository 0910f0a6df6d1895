"""Find out for which namespace a request is made: HTTP Basic authentication with its key."""

from __future__ import annotations

import base64
import secrets

from starlette.requests import Request

from hotwhisk.gateway.api.errors import FORBIDDEN, NO_KEY, UNAUTHORIZED, ApiError
from hotwhisk.gateway.gateway import Gateway
from hotwhisk.gateway.store.namespaces import Namespace
from hotwhisk.gateway.store.store import Store


def gateway_of(request: Request) -> Gateway:
    """Return the gateway that serves a request."""
    found: Gateway = request.app.state.gateway
    return found


def caller(request: Request) -> Namespace:
    """
    Return the namespace whose key the request bears.

    Raises:
        ApiError: 401, there is no key, or it is wrong.
    """
    header = request.headers.get("authorization", "")
    namespace = namespace_of(gateway_of(request).store, header)
    if namespace is None:
        raise ApiError(401, UNAUTHORIZED if header else NO_KEY)
    return namespace


def namespace_of(store: Store, authorization: str) -> Namespace | None:
    """Return the namespace that the value of an Authorization header opens."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(credentials, validate=True).decode()
    except ValueError:  # no ASCII, no base64, or no UTF-8 in it
        return None
    identifier, _, key = text.partition(":")
    namespace = store.namespaces.with_uuid(identifier)
    if namespace is None or not secrets.compare_digest(namespace.key.encode(), key.encode()):
        return None
    return namespace


def owned(request: Request) -> Namespace:
    """
    Return the namespace of the path, which must be the caller's; ``_`` is the caller's own.

    Raises:
        ApiError: 401 or 403.
    """
    namespace = caller(request)
    if named(request, namespace) != namespace.name:
        raise ApiError(403, FORBIDDEN)
    return namespace


def named(request: Request, namespace: Namespace) -> str:
    """Return the name of the namespace in the path, for which the caller's own may stand as _."""
    name: str = request.path_params["namespace"]
    return namespace.name if name == "_" else name
