"""The route at which agents list the actions of a namespace, and call them."""

from __future__ import annotations

import base64

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hotwhisk.gateway.api import reading
from hotwhisk.gateway.api.authentication import gateway_of, namespace_of
from hotwhisk.gateway.api.errors import NO_KEY, UNAUTHORIZED, ApiError, request_id
from hotwhisk.gateway.mcp.action_tools import ActionTools
from hotwhisk.gateway.mcp.descriptions import Descriptions
from hotwhisk.gateway.store.namespaces import Namespace
from hotwhisk.mcp.tool_answers import HEADERS, answer


def route(path: str) -> Route:
    """Return the route of the Model Context Protocol."""
    descriptions = Descriptions()

    async def post(request: Request) -> Response:
        caller = _caller(request)
        reading.require_json(request.headers.get("content-type", ""))
        body = await reading.body(request, reading.MOST_PAYLOAD)
        tools = ActionTools(gateway_of(request), descriptions, caller, request_id(request))
        found = await answer(request.headers.getlist, body, tools)
        return Response(found.body, found.status, HEADERS)

    return Route(path, post, methods=["POST"])


def _caller(request: Request) -> Namespace:
    """
    Return the namespace whose key the request bears: as for the API, or as a Bearer token.

    Many clients can be given a token only.

    Raises:
        ApiError: 401, there is no key, or it is wrong.
    """
    header = request.headers.get("authorization", "")
    scheme, _, key = header.partition(" ")
    if scheme.lower() == "bearer":
        header = f"Basic {base64.b64encode(key.strip().encode()).decode()}"
    namespace = namespace_of(gateway_of(request).store, header)
    if namespace is None:
        raise ApiError(401, UNAUTHORIZED if header else NO_KEY)
    return namespace
