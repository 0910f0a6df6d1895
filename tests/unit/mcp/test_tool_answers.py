"""What agents are answered, by the rules of the protocol: without a server and without HTTP."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from hotwhisk.mcp.tool_answers import ToolAnswer, answer
from hotwhisk.mcp.tool_requests import HANDSHAKE_REVISIONS, REVISION
from hotwhisk.mcp.tools import Tool, ToolResult, UnknownTool, note, tool_name

META = "io.modelcontextprotocol/"
NAMED = {f"{META}protocolVersion": REVISION, f"{META}clientCapabilities": {}}


class Echo:
    """Two tools: one answers its arguments, one answers a value."""

    def __init__(self, result: ToolResult | None = None) -> None:
        self._result = result

    async def list(self) -> Sequence[Tool]:
        return [Tool("echo", "Say it again.", {"type": "object"})]

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolResult:
        if name != "echo":
            raise UnknownTool
        return self._result or ToolResult(arguments)


def post(
    body: object,
    headers: Mapping[str, str | list[str]] | None = None,
    result: ToolResult | None = None,
) -> ToolAnswer:
    """Answer a body, with headers by their names in lower case."""
    given = headers or {}

    def values(name: str) -> list[str]:
        found = given.get(name, [])
        return [found] if isinstance(found, str) else found

    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return asyncio.run(answer(values, content, Echo(result)))


def ask(method: str, params: Mapping[str, object] | None = None, **headers: str) -> ToolAnswer:
    """Send a request of the present revision that is right, but for what is given."""
    given = {"_meta": NAMED, **(params or {})}
    sent = {"mcp-protocol-version": REVISION, "mcp-method": method}
    if "name" in given:
        sent["mcp-name"] = str(given["name"])
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return post({"jsonrpc": "2.0", "id": 1, "method": method, "params": given}, sent)


def code_of(tool_answer: ToolAnswer) -> tuple[int, int]:
    return tool_answer.status, json.loads(tool_answer.body)["error"]["code"]


def result_of(tool_answer: ToolAnswer) -> dict[str, Any]:
    assert tool_answer.status == 200
    found: dict[str, Any] = json.loads(tool_answer.body)["result"]
    return found


def test_a_client_of_the_present_revision() -> None:
    found = result_of(ask("server/discover"))
    assert found["supportedVersions"][0] == REVISION
    assert found["capabilities"] == {"tools": {}}
    assert found["_meta"][f"{META}serverInfo"]["name"] == "hotwhisk"
    found = result_of(ask("tools/list"))
    assert (found["resultType"], found["ttlMs"], found["cacheScope"]) == ("complete", 0, "private")
    [tool] = found["tools"]
    assert tool == {
        "name": "echo", "description": "Say it again.", "inputSchema": {"type": "object"},
    }  # fmt: skip
    found = result_of(ask("tools/call", {"name": "echo", "arguments": {"é": [1, None]}}))
    assert found["structuredContent"] == {"é": [1, None]}
    assert found["content"] == [{"type": "text", "text": '{"é": [1, null]}'}]
    assert found["isError"] is False


def test_a_client_that_begins_with_a_handshake() -> None:
    def send(method: str, params: object = None, **headers: str) -> ToolAnswer:
        body = {"jsonrpc": "2.0", "id": "a", "method": method, "params": params or {}}
        return post(body, {name.replace("_", "-"): value for name, value in headers.items()})

    for wanted in HANDSHAKE_REVISIONS:
        found = result_of(send("initialize", {"protocolVersion": wanted, "capabilities": {}}))
        assert found["protocolVersion"] == wanted
    found = result_of(send("initialize", {"protocolVersion": "2024-11-05"}))
    assert found["protocolVersion"] == HANDSHAKE_REVISIONS[0]
    assert post({"jsonrpc": "2.0", "method": "notifications/initialized"}) == ToolAnswer(202)
    for version in HANDSHAKE_REVISIONS:
        assert "resultType" not in result_of(send("tools/list", mcp_protocol_version=version))
    assert result_of(send("ping")) == {}
    assert result_of(send("tools/call", {"name": "echo"}))["structuredContent"] == {}
    # An error is an answer to these clients, not a failure of the transport.
    assert code_of(send("resources/list")) == (200, -32601)
    assert code_of(send("tools/call", {"name": "other"})) == (200, -32602)


@pytest.mark.parametrize(
    ("params", "headers", "expected"),
    [
        ({}, {"mcp_protocol_version": "2025-11-25"}, -32020),
        ({"_meta": {}}, {}, -32020),
        ({"_meta": {}}, {"mcp_protocol_version": "1900-01-01"}, -32022),
        ({"_meta": NAMED | {f"{META}protocolVersion": "1900-01-01"}},
         {"mcp_protocol_version": "1900-01-01"}, -32022),
        ({"_meta": {f"{META}protocolVersion": REVISION}}, {}, -32602),
        ({}, {"mcp_method": "tools/list"}, -32020),
        ({}, {"mcp_name": "other"}, -32020),
        ({}, {"mcp_name": "=?base64?!?="}, -32020),
        ({"name": "other"}, {}, -32602),
        ({"arguments": [1]}, {}, -32602),
    ],
)  # fmt: skip
def test_a_request_that_contradicts_itself_is_refused(
    params: dict[str, object], headers: dict[str, str], expected: int
) -> None:
    assert code_of(ask("tools/call", {"name": "echo", **params}, **headers)) == (400, expected)


def test_an_unknown_revision_is_told_which_there_are() -> None:
    tool_answer = ask("tools/list", {"_meta": {}}, mcp_protocol_version="2031-01-01")
    data = json.loads(tool_answer.body)["error"]["data"]
    assert data == {"requested": "2031-01-01", "supported": [REVISION, *HANDSHAKE_REVISIONS]}


def test_a_method_or_a_name_in_base64() -> None:
    assert code_of(ask("resources/list")) == (404, -32601)
    encoded = base64.b64encode(b"echo").decode()
    assert ask("tools/call", {"name": "echo"}, mcp_name=f"=?base64?{encoded}?=").status == 200


def test_a_header_that_is_given_twice_is_refused() -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": NAMED}}
    headers: dict[str, str | list[str]] = {
        "mcp-protocol-version": REVISION, "mcp-method": ["tools/list", "tools/call"],
    }  # fmt: skip
    assert code_of(post(body, headers)) == (400, -32020)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b'{"a": NaN}', -32700),
        (b'{"a": 1e999}', -32700),
        (b"[" * 100_000, -32700),
        (b"[]", -32600),
        (b"{}", -32600),
        ({"jsonrpc": "2.0", "id": 1}, -32600),
        ({"jsonrpc": "1.0", "id": 1, "method": "ping"}, -32600),
        ({"jsonrpc": "2.0", "id": None, "method": "ping"}, -32600),
        ({"jsonrpc": "2.0", "id": True, "method": "ping"}, -32600),
        ({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": [1]}, -32602),
        ([{"jsonrpc": "2.0", "id": 1, "method": "ping"}], -32600),
    ],
)
def test_a_body_that_is_no_request_is_refused(body: object, expected: int) -> None:
    assert code_of(post(body)) == (400, expected)


def test_a_page_of_another_site_may_not_call() -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    own = {"host": "127.0.0.1:3233", "origin": "http://127.0.0.1:3233"}
    assert post(body, own).status == 200
    for origin in ("http://page.example", "http://127.0.0.1:80", "null", "", "http://["):
        assert code_of(post(body, {**own, "origin": origin})) == (403, -32600)


def test_results_that_are_no_objects_and_errors() -> None:
    def call(result: ToolResult, *, by_handshake: bool = False) -> dict[str, Any]:
        params: dict[str, object] = {"name": "echo"}
        headers = {}
        if not by_handshake:
            params["_meta"] = NAMED
            headers = {
                "mcp-protocol-version": REVISION, "mcp-method": "tools/call", "mcp-name": "echo",
            }  # fmt: skip
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        return result_of(post(body, headers, result))

    assert call(ToolResult([1]))["structuredContent"] == [1]
    assert "structuredContent" not in call(ToolResult([1]), by_handshake=True)
    found = call(ToolResult("no luck", error=True, notes=("why",)))
    assert [each["text"] for each in found["content"]] == ["no luck", "why"]
    assert found["isError"] is True
    assert "structuredContent" not in found
    assert call(ToolResult({"a": "\ud800"}))["structuredContent"] == {"a": "\ud800"}


def test_a_result_that_is_too_deep_for_json_is_refused() -> None:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo"}}
    for value in (nested, {"a": nested}):
        assert code_of(post(body, result=ToolResult(value))) == (200, -32602)


def test_names_and_notes() -> None:
    assert tool_name("tools/get weather") == "tools_get_weather"
    assert len(tool_name("a" * 300)) == 128
    assert note("Title:", "\n text \n") == "Title:\n\ntext"
    assert note("Title:", "x" * 20_000 + "end").endswith("xend")
    assert len(note("Title:", "x" * 20_000)) < 17_000
