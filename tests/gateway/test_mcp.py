"""Agents call the actions of a gateway: with the official client, which never connects again."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.dev import DevProcess, write
from tests.support.agents import Agent, AgentError, Agents, texts
from tests.support.gateway import GatewayProcess

pytestmark = pytest.mark.slow

VERSION = "def main(event):\n    return {{'version': {0}, 'token': event.get('token')}}\n"
WEATHER = '''
from typing import NotRequired, TypedDict

class Place(TypedDict):
    city: str
    "The name of the city."
    days: NotRequired[int]

def main(event: Place) -> dict:
    """Say how the weather will be."""
    return {"city": event["city"], "days": event.get("days", 1)}
'''


def connect(agents: Agents, gateway: GatewayProcess, mode: str = "auto") -> Agent:
    return agents.connect(f"{gateway.url}/mcp", {"Authorization": f"Bearer {gateway.auth}"}, mode)


def by_name(tools: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {tool["name"]: tool for tool in tools}


@pytest.mark.parametrize(("mode", "revision"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
def test_actions_are_tools_whose_next_call_is_new(
    shared_gateway: GatewayProcess, agents: Agents, mode: str, revision: str
) -> None:
    shared_gateway.create("weather", WEATHER)
    shared_gateway.create("echo", VERSION.format(1))
    client = connect(agents, shared_gateway, mode)
    assert client.server["revision"] == revision
    assert "no need to connect again" in client.server["instructions"]
    tools = by_name(client.tools())
    assert tools["weather"]["description"] == "Say how the weather will be."
    assert tools["weather"]["inputSchema"] == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "The name of the city."},
            "days": {"type": "integer"},
        },
        "required": ["city"],
    }
    assert tools["echo"]["inputSchema"]["properties"] == {"token": {}}
    found = client.call("weather", city="Pisa")
    assert found["structuredContent"] == {"city": "Pisa", "days": 1}
    assert not found["isError"]
    for number in range(2, 12):
        shared_gateway.create("echo", VERSION.format(number))
        found = client.call("echo", token="t")
        assert found["structuredContent"] == {"version": number, "token": "t"}


def test_an_action_that_fails_is_an_error_of_the_tool_with_its_log(
    shared_gateway: GatewayProcess, agents: Agents
) -> None:
    shared_gateway.create("fails", "def main(event):\n    return {'x': 1 / event['by']}\n")
    shared_gateway.create("unlucky", "def main(event):\n    return {'error': 'no luck'}\n")
    shared_gateway.create("broken", "def main(:\n")
    client = connect(agents, shared_gateway)
    found = client.call("fails", by=0)
    assert found["isError"]
    assert "Traceback" in texts(found)[1]
    assert "ZeroDivisionError" in texts(found)[1]
    assert not client.call("fails", by=2)["isError"]
    found = client.call("unlucky")
    assert (found["isError"], texts(found)) == (True, ["no luck"])
    found = client.call("broken")
    assert found["isError"]
    assert "does not compile" in texts(found)[1]
    with pytest.raises(AgentError, match="no tool 'missing'") as error:
        client.call("missing")
    assert error.value.code == -32602


def test_defaults_annotations_and_packages(shared_gateway: GatewayProcess, agents: Agents) -> None:
    gateway = shared_gateway
    gateway.api("PUT", "packages/tools", {"parameters": [{"key": "unit", "value": "K"}]})
    gateway.create(
        "tools/heat",
        "def main(event): return event\n",
        parameters=[{"key": "secret", "value": "s"}, {"key": "city", "value": "Oslo"}],
        annotations=[
            {"key": "description", "value": "Say how hot it is."},
            {"key": "final", "value": True},
            {
                "key": "parameters",
                "value": [
                    {"name": "city", "required": True},
                    {"name": "day", "required": True, "type": "string", "description": "Which."},
                ],
            },
        ],
    )
    client = connect(agents, gateway)
    tool = by_name(client.tools())["tools_heat"]
    assert tool["description"] == "Say how hot it is."
    assert tool["inputSchema"] == {
        "type": "object",
        "properties": {"day": {"type": "string", "description": "Which."}},
        "required": ["day"],
    }
    found = client.call("tools_heat", day="today")
    expected = {"unit": "K", "secret": "s", "city": "Oslo", "day": "today"}
    assert found["structuredContent"] == expected
    found = client.call("tools_heat", city="Rome")
    assert found["isError"]
    assert "parameters that are not allowed" in texts(found)[0]


def test_who_may_call(shared_gateway: GatewayProcess, agents: Agents) -> None:
    gateway = shared_gateway
    gateway.create("echo", VERSION.format(1))
    basic = base64.b64encode(gateway.auth.encode()).decode()
    client = agents.connect(f"{gateway.url}/mcp", {"Authorization": f"Basic {basic}"})
    assert client.call("echo", token=1)["structuredContent"]["token"] == 1
    body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    bearer = {"Authorization": f"Bearer {gateway.auth}"}

    def ask(method: str = "POST", **headers: str) -> int:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return gateway.request(method, "/mcp", body, headers={**bearer, **sent}, auth="").status

    assert ask() == 200
    assert ask("GET") == ask("DELETE") == 405
    assert ask(Authorization="Bearer 23bc46b1:wrong") == 401
    assert gateway.request("POST", "/mcp", body, auth="").status == 401
    assert ask(Origin="https://page.example") == 403
    assert ask(Host="page.example") == 421
    assert ask(Content_Type="text/plain") == 415
    assert ask(Origin=gateway.url) == 200


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b"1e999",
        b'{"jsonrpc":"2.0","id":1}',
        b"9" * 9999,
    ],
)
def test_a_wrong_body_costs_its_sender_only(shared_gateway: GatewayProcess, content: bytes) -> None:
    answer = shared_gateway.request("POST", "/mcp", content)
    assert answer.status == 400
    assert answer.json["error"]["code"] in (-32700, -32600)
    assert shared_gateway.request("POST", "/mcp", b" " * (1 << 20) + b"{}").status == 413
    body = {"jsonrpc": "2.0", "id": 7, "method": "ping"}
    assert shared_gateway.request("POST", "/mcp", body).json["id"] == 7


def test_a_save_that_does_not_load_is_told_with_its_traceback(
    tmp_path: Path, agents: Agents
) -> None:
    project = write(tmp_path / "project", {"hello.py": VERSION.format(1)})
    with DevProcess(project / "hello.py") as dev:
        dev.wait_live("0.0.1")
        client = connect(agents, dev)
        assert texts(client.call("hello", token=1)) == ['{"version": 1, "token": 1}']
        before = client.tools()
        write(project, {"hello.py": "import nowhere\n"})
        dev.wait("hello was not replaced")
        result, note = texts(client.call("hello", token=2))
        assert result == '{"version": 1, "token": 2}'
        assert "hello does not load; version 0.0.1 serves" in note
        assert "Traceback (most recent call last)" in note
        assert "No module named 'nowhere'" in note
        assert client.tools() == before
        write(project, {"hello.py": VERSION.format(2)})
        dev.wait_live("0.0.2")
        assert texts(client.call("hello", token=3)) == ['{"version": 2, "token": 3}']


def test_an_action_that_never_loaded_says_why(tmp_path: Path, agents: Agents) -> None:
    project = write(tmp_path / "project", {"hello.py": "import nowhere\n"})
    with DevProcess(project / "hello.py") as dev:
        dev.wait("hello does not load|hello was not")
        client = connect(agents, dev)
        assert client.tools() == []
        found = client.call("hello")
        assert found["isError"]
        assert "No module named 'nowhere'" in texts(found)[1]
