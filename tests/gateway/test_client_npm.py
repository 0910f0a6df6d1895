"""The npm package openwhisk, as programs for Node.js use it."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.clients import Called, LineClient, node_program
from tests.support.gateway import GatewayProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ECHO = "def main(args):\n    return args\n"
HELLO = "def main(args):\n    print('called')\n    return {'greetings': 'Hello, ' + args['name']}\n"


class Npm:
    """The methods of the package's client."""

    def __init__(self, client: LineClient) -> None:
        self._client = client

    def __call__(self, resource: str, method: str, **options: Any) -> Any:
        """Call a method; return what its promise gives."""
        called = self.refused(resource, method, **options)
        assert called.error == "", called
        return called.answer

    def refused(self, resource: str, method: str, **options: Any) -> Called:
        """Call a method; return what came of it."""
        return self._client.call([resource, method, options])

    def create(self, name: str, code: str, **options: Any) -> Any:
        """Create or update an action."""
        return self("actions", "update", name=name, action=code, kind="python:3", **options)


@pytest.fixture(scope="module")
def npm(shared_gateway: GatewayProcess) -> Iterator[Npm]:
    with LineClient(["node", str(node_program())], shared_gateway) as client:
        yield Npm(client)


def test_namespaces(npm: Npm) -> None:
    assert npm("namespaces", "list") == ["guest"]
    npm.create("seen", ECHO)
    found = npm("namespaces", "get", name="guest")
    assert "seen" in [each["name"] for each in found["actions"]]


def test_actions(npm: Npm) -> None:
    created = npm("actions", "create", name="act", action=HELLO, kind="python:3", params={"a": 1})
    assert created["parameters"] == [{"key": "a", "value": 1}]
    again = npm.refused("actions", "create", name="act", action=HELLO, kind="python:3")
    assert again.status == 409
    assert "resource already exists" in again.error
    assert npm("actions", "get", name="act")["exec"]["code"] == HELLO
    assert "code" not in npm("actions", "get", name="act", code=False)["exec"]
    assert npm.create("act", ECHO)["version"] == "0.0.2"
    limits = {"timeout": 5000, "memory": 128}
    assert npm.create("act", ECHO, limits=limits)["limits"]["timeout"] == 5000
    assert "act" in [each["name"] for each in npm("actions", "list")]
    assert len(npm("actions", "list", limit=1)) == 1
    assert npm("actions", "list", count=True)["actions"] >= 1
    assert npm("actions", "delete", name="act")["name"] == "act"
    assert npm.refused("actions", "get", name="act").status == 404


def test_invocations(npm: Npm) -> None:
    npm.create("echo", ECHO)
    call = {"name": "echo", "params": {"x": "❄"}}
    assert len(npm("actions", "invoke", **call)["activationId"]) == 32
    record = npm("actions", "invoke", blocking=True, **call)
    assert record["response"]["result"] == {"x": "❄"}
    assert npm("actions", "invoke", blocking=True, result=True, **call) == {"x": "❄"}
    npm.create("fail", "def main(args):\n    return {'error': 'sorry'}\n")
    failed = npm.refused("actions", "invoke", name="fail", blocking=True)
    assert failed.status == 502


def test_a_zip(npm: Npm) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("__main__.py", ECHO)
    code = base64.b64encode(content.getvalue()).decode()
    created = npm("actions", "create", name="zipped", base64=code, kind="python:3")
    assert created["exec"]["binary"] is True
    result = npm("actions", "invoke", name="zipped", params={"z": 1}, blocking=True, result=True)
    assert result == {"z": 1}


def test_a_sequence(npm: Npm) -> None:
    npm.create("one", "def main(args):\n    return {'n': args['n'] + 1}\n")
    created = npm("actions", "create", name="seq", sequence=["/_/one", "/_/one"])
    assert created["exec"]["kind"] == "sequence"
    result = npm("actions", "invoke", name="seq", params={"n": 0}, blocking=True, result=True)
    assert result == {"n": 2}


def test_another_language_is_refused_with_a_reason(npm: Npm) -> None:
    refused = npm.refused("actions", "create", name="js", action="function main() {}")
    assert refused.status == 400
    assert "no container engine" in refused.error


def test_packages(npm: Npm) -> None:
    created = npm("packages", "create", name="box", package={"publish": True})
    assert (created["name"], created["publish"]) == ("box", True)
    npm.create("box/echo", ECHO)
    assert [each["name"] for each in npm("packages", "get", name="box")["actions"]] == ["echo"]
    assert "box" in [each["name"] for each in npm("packages", "list")]
    result = npm("actions", "invoke", name="box/echo", blocking=True, result=True)
    assert result == {}
    updated = npm(
        "packages", "update", name="box", package={"parameters": [{"key": "k", "value": 1}]}
    )
    assert updated["version"] == "0.0.2"
    assert npm.refused("packages", "delete", name="box").status == 409
    npm("actions", "delete", name="box/echo")
    assert npm("packages", "delete", name="box")["name"] == "box"


def test_triggers_and_rules(npm: Npm) -> None:
    npm.create("hit", ECHO)
    assert npm("triggers", "create", name="ring")["name"] == "ring"
    created = npm("rules", "create", name="on", trigger="ring", action="hit")
    assert (created["status"], created["action"]["name"]) == ("active", "hit")
    identifier = npm("triggers", "invoke", name="ring", params={"p": 1})["activationId"]
    assert npm("activations", "get", name=identifier)["response"]["result"] == {"p": 1}
    npm.refused("rules", "disable", name="on")
    assert npm("rules", "get", name="on")["status"] == "inactive"
    npm.refused("rules", "enable", name="on")
    assert npm("rules", "get", name="on")["status"] == "active"
    updated = npm("rules", "update", name="on", trigger="ring", action="hit")
    assert (updated["version"], updated["status"]) == ("0.0.2", "active")
    assert "on" in [each["name"] for each in npm("rules", "list")]
    assert "ring" in [each["name"] for each in npm("triggers", "list")]
    assert npm("triggers", "get", name="ring")["rules"]["guest/on"]["status"] == "active"
    assert npm("rules", "delete", name="on")["name"] == "on"
    assert npm("triggers", "delete", name="ring")["name"] == "ring"


def test_a_feed(npm: Npm) -> None:
    npm.create("feed", ECHO)
    npm("triggers", "create", name="fed")
    made = npm("feeds", "create", name="feed", trigger="fed", params={"every": 5})
    result = made["response"]["result"]
    assert (result["lifecycleEvent"], result["every"]) == ("CREATE", 5)
    assert result["triggerName"].endswith("/fed")
    assert result["authKey"]


def test_activations(npm: Npm) -> None:
    npm.create("logged", HELLO)
    record = npm("actions", "invoke", name="logged", params={"name": "Li"}, blocking=True)
    identifier = record["activationId"]
    assert npm("activations", "get", name=identifier)["activationId"] == identifier
    assert npm("activations", "logs", name=identifier)["logs"][0].endswith("stdout: called")
    assert npm("activations", "result", name=identifier)["result"] == {"greetings": "Hello, Li"}
    listed = npm("activations", "list", name="logged", limit=5)
    assert [each["activationId"] for each in listed] == [identifier]
    assert npm("activations", "list", count=True)["activations"] >= 1
    assert npm("activations", "list", since=record["start"], upto=record["start"], docs=True)
    assert npm.refused("activations", "get", name="f" * 32).status == 404
