"""
Read requests of the protocol, and refuse those that break its rules.

Clients come in two kinds. Those of revision 2026-07-28 name it in each request, in a header and in
``params._meta``. Earlier ones first send ``initialize``, and then a header with the revision that
was agreed on, or none. Sources: modelcontextprotocol, docs/specification/2026-07-28/basic/
transports/streamable-http.mdx and basic/versioning.mdx.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from hotwhisk.mcp.strict_json import json_value

REVISION: Final = "2026-07-28"
HANDSHAKE_REVISIONS: Final = ("2025-11-25", "2025-06-18", "2025-03-26")
"""The earlier revisions, the newest first."""

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
UNKNOWN_METHOD: Final = -32601
INVALID_PARAMS: Final = -32602
HEADER_MISMATCH: Final = -32020
UNSUPPORTED_REVISION: Final = -32022

_META: Final = "io.modelcontextprotocol/"
_ENCODED: Final = re.compile(r"=\?base64\?(.*)\?=")

Headers = Callable[[str], Sequence[str]]
"""Returns all values of a header, by its name in lower case."""


class Refusal(Exception):
    """A request that gets an error: ``code`` is that of JSON-RPC, ``status`` that of HTTP."""

    def __init__(self, code: int, text: str, *, status: int = 400, data: object = None) -> None:
        super().__init__(text)
        self.code = code
        self.status = status
        self.data = data
        self.id: int | str | None = None
        """The identifier of the request, if it could be read."""


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """
    A request, or a notification if ``id`` is None.

    ``by_handshake`` tells the requests of earlier revisions.
    """

    id: int | str | None
    method: str
    params: dict[str, Any] = field(hash=False)
    by_handshake: bool = False


def read_request(headers: Headers, body: bytes) -> ToolRequest:
    """
    Return the request in the body of a POST.

    Raises:
        Refusal: the body is no single request, the headers contradict it, or the revision is
            unknown.
    """
    _check_origin(headers)
    document = _document(body)
    identifier, method = document.get("id"), document["method"]
    params = document.get("params", {})
    try:
        if not isinstance(params, dict):
            raise Refusal(INVALID_PARAMS, "params must be an object")
        revision = _one(headers, "mcp-protocol-version")
        meta = params.get("_meta")
        named = meta.get(f"{_META}protocolVersion") if isinstance(meta, dict) else None
        if method == "initialize" or (
            named is None and (revision is None or revision in HANDSHAKE_REVISIONS)
        ):
            return ToolRequest(identifier, method, params, by_handshake=True)
        if identifier is not None:
            _check_revision(revision, named)
            _check_capabilities(meta)
            _check_routing(headers, method, params)
    except Refusal as refusal:
        refusal.id = identifier
        raise
    return ToolRequest(identifier, method, params)


def _check_origin(headers: Headers) -> None:
    """Refuse what a page of another site has sent: a browser names the site with each POST."""
    hosts = {host.lower() for host in headers("host")}
    for origin in headers("origin"):
        if _host_of(origin) not in hosts:
            text = f"pages of {origin[:80]} may not call this server"
            raise Refusal(INVALID_REQUEST, text, status=403)


def _host_of(origin: str) -> str | None:
    """Return the host and the port of a URL in lower case; None if it is no URL."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json_value(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(PARSE_ERROR, f"the body is not JSON: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("method"), str):
        raise Refusal(INVALID_REQUEST, "expected one JSON-RPC request, an object with a method")
    identifier = document.get("id")
    if document.get("jsonrpc") != "2.0":
        raise Refusal(INVALID_REQUEST, 'expected "jsonrpc": "2.0"')
    if "id" in document and (isinstance(identifier, bool) or not isinstance(identifier, int | str)):
        raise Refusal(INVALID_REQUEST, "the id must be a text or a whole number")
    return document


def _check_revision(revision: str | None, named: object) -> None:
    if revision is not None and named is None and revision != REVISION:
        raise _unsupported(revision)
    if revision != named:
        raise Refusal(
            HEADER_MISMATCH,
            f"the header MCP-Protocol-Version is {revision!r}, and {_META}protocolVersion in "
            f"params._meta is {named!r}; both must name the same revision",
        )
    if revision != REVISION:
        raise _unsupported(str(revision))


def _unsupported(revision: str) -> Refusal:
    supported = [REVISION, *HANDSHAKE_REVISIONS]
    data = {"supported": supported, "requested": revision}
    text = f"this server has no revision {revision[:40]!r}; it has {', '.join(supported)}"
    return Refusal(UNSUPPORTED_REVISION, text, data=data)


def _check_capabilities(meta: object) -> None:
    key = f"{_META}clientCapabilities"
    if not isinstance(meta, dict) or not isinstance(meta.get(key), dict):
        raise Refusal(INVALID_PARAMS, f"params._meta must have {key}, an object")


def _check_routing(headers: Headers, method: str, params: dict[str, Any]) -> None:
    """Compare the headers by which a proxy may decide with the body, which is what we act on."""
    given = _one(headers, "mcp-method")
    if given != method:
        text = f"the header Mcp-Method is {given!r}, and the method is {method!r}"
        raise Refusal(HEADER_MISMATCH, text)
    if method == "tools/call":
        given, name = _decoded(_one(headers, "mcp-name")), params.get("name")
        if given != name:
            text = f"the header Mcp-Name is {given!r}, and params.name is {name!r}"
            raise Refusal(HEADER_MISMATCH, text)


def _one(headers: Headers, name: str) -> str | None:
    """Return the value of a header that may be given once; two readers may take another of two."""
    values = headers(name)
    if len(values) > 1:
        raise Refusal(HEADER_MISMATCH, f"the header {name} is given {len(values)} times")
    return values[0] if values else None


def _decoded(value: str | None) -> str | None:
    """Return the text in the value of a header, which may be in base64."""
    found = _ENCODED.fullmatch(value) if value is not None else None
    if found is None:
        return value
    try:
        return base64.b64decode(found[1], validate=True).decode()
    except ValueError:
        raise Refusal(HEADER_MISMATCH, "a header in base64 cannot be decoded") from None
