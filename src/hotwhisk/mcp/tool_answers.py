"""Answer the requests of agents: what the server can do, which tools there are, a call of one."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from hotwhisk import __version__
from hotwhisk.mcp.tool_requests import (
    HANDSHAKE_REVISIONS,
    INVALID_PARAMS,
    REVISION,
    UNKNOWN_METHOD,
    Headers,
    Refusal,
    ToolRequest,
    read_request,
)
from hotwhisk.mcp.tools import Tool, ToolResult, Tools, UnknownTool

INSTRUCTIONS: Final = (
    "Each tool is an action that hotwhisk serves. An action is replaced while it serves: after an "
    "edit, call the tool again; there is no need to connect again. If the last edit did not load, "
    "the answer of the tool says why, and the version before it has answered."
)
HEADERS: Final = {"Content-Type": "application/json", "Connection": "close"}
"""
The headers of an answer.

The connection is not kept: agents are idle for seconds, and a call on one that the server closes at
that moment would fail.
"""
_SERVER: Final = {"name": "hotwhisk", "version": __version__}
_CAPABILITIES: Final[dict[str, Any]] = {"tools": {}}
# What may be different a moment later, and is for this client alone.
_NOT_CACHED: Final = {"ttlMs": 0, "cacheScope": "private"}

Result = dict[str, Any]
Method = Callable[[ToolRequest, Tools], Awaitable[Result]]


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """The answer to a POST request: JSON. A notification gets a status without a ``body``."""

    status: int
    body: bytes = b""


async def answer(headers: Headers, body: bytes, tools: Tools) -> ToolAnswer:
    """
    Answer the body of a POST request. A body that breaks the rules gets an error.

    ``headers`` returns the values of a header of the request.
    """
    try:
        request = read_request(headers, body)
    except Refusal as raised:
        return ToolAnswer(raised.status, _error(raised.id, raised))
    if request.id is None:
        return ToolAnswer(202)
    methods = _BY_HANDSHAKE if request.by_handshake else _METHODS
    try:
        method = methods.get(request.method)
        if method is None:
            text = f"there is no method {request.method[:80]!r}; there are {', '.join(methods)}"
            raise Refusal(UNKNOWN_METHOD, text, status=404)
        return ToolAnswer(200, _success(request, await method(request, tools)))
    except RecursionError:  # what was read as JSON may be too deep to be written
        refusal = Refusal(INVALID_PARAMS, "the arguments or the result are nested too deeply")
    except Refusal as raised:
        refusal = raised
    status = 200 if request.by_handshake else refusal.status
    return ToolAnswer(status, _error(request.id, refusal))


def _success(request: ToolRequest, result: Result) -> bytes:
    if not request.by_handshake:
        info = {"io.modelcontextprotocol/serverInfo": _SERVER}
        result = {"resultType": "complete", **result, "_meta": info}
    return json.dumps({"jsonrpc": "2.0", "id": request.id, "result": result}).encode()


def _error(identifier: int | str | None, refusal: Refusal) -> bytes:
    error = {"code": refusal.code, "message": str(refusal)}
    if refusal.data is not None:
        error["data"] = refusal.data
    return json.dumps({"jsonrpc": "2.0", "id": identifier, "error": error}).encode()


async def _discover(_: ToolRequest, __: Tools) -> Result:
    return {
        "supportedVersions": [REVISION, *HANDSHAKE_REVISIONS],
        "capabilities": _CAPABILITIES,
        "instructions": INSTRUCTIONS,
        **_NOT_CACHED,
    }


async def _initialize(request: ToolRequest, _: Tools) -> Result:
    wanted = request.params.get("protocolVersion")
    return {
        "protocolVersion": wanted if wanted in HANDSHAKE_REVISIONS else HANDSHAKE_REVISIONS[0],
        "capabilities": _CAPABILITIES,
        "serverInfo": _SERVER,
        "instructions": INSTRUCTIONS,
    }


async def _ping(_: ToolRequest, __: Tools) -> Result:
    return {}


async def _list(request: ToolRequest, tools: Tools) -> Result:
    listed = [_shown(each) for each in await tools.list()]
    return {"tools": listed, **({} if request.by_handshake else _NOT_CACHED)}


def _shown(tool: Tool) -> dict[str, Any]:
    described = {"description": tool.description} if tool.description else {}
    return {"name": tool.name, **described, "inputSchema": tool.schema}


async def _call(request: ToolRequest, tools: Tools) -> Result:
    name, arguments = request.params.get("name"), request.params.get("arguments")
    if not isinstance(name, str):
        raise Refusal(INVALID_PARAMS, "params.name must be the name of a tool")
    arguments = {} if arguments is None else arguments
    if not isinstance(arguments, dict):
        raise Refusal(INVALID_PARAMS, "params.arguments must be an object")
    try:
        result = await tools.call(name, arguments)
    except UnknownTool:
        raise Refusal(INVALID_PARAMS, f"there is no tool {name[:80]!r}; see tools/list") from None
    return _content(result, request)


def _content(result: ToolResult, request: ToolRequest) -> Result:
    """Return a result as text, and as it is where the revision allows a value of its kind."""
    value = result.value
    is_text = result.error and isinstance(value, str)
    text = value if is_text else json.dumps(value, ensure_ascii=False)
    structured: Result = {}
    if isinstance(value, dict) or not (request.by_handshake or is_text):
        structured = {"structuredContent": value}
    content = [{"type": "text", "text": each} for each in (text, *result.notes)]
    return {"content": content, **structured, "isError": result.error}


_METHODS: Final[dict[str, Method]] = {
    "server/discover": _discover, "tools/list": _list, "tools/call": _call,
}  # fmt: skip
_BY_HANDSHAKE: Final[dict[str, Method]] = {
    "initialize": _initialize, "ping": _ping, "tools/list": _list, "tools/call": _call,
}  # fmt: skip
