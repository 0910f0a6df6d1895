"""Every command of wsk, by the library of which wsk is made."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hotwhisk.build import build
from tests.support.clients import Called, LineClient, go_programs
from tests.support.gateway import GatewayProcess
from tests.support.server import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

HELLO = "def main(args):\n    print('called')\n    return {'greetings': 'Hello, ' + args['name']}\n"
ECHO = "def main(args):\n    return args\n"
FAIL = "def main(args):\n    return {'error': 'no ' + args.get('what', 'luck')}\n"


class Wsk:
    """The commands of wsk, in the order in which it has them."""

    def __init__(self, client: LineClient) -> None:
        self._client = client

    def __call__(self, command: str, **given: Any) -> Any:
        """Do what a command does; return the answer, which must not be an error."""
        called = self.refused(command, **given)
        assert called.error == "", called
        return called.answer

    def refused(self, command: str, **given: Any) -> Called:
        """Do what a command does; return what came of it."""
        return self._client.call({"do": command, **given})

    def create(self, name: str, code: str, kind: str = "python:3", **fields: Any) -> Any:
        """Do what ``wsk action update NAME FILE`` does."""
        action = {"name": name, "exec": {"kind": kind, "code": code}, **fields}
        return self("action.insert", overwrite=True, action=action)


@pytest.fixture(scope="module")
def wsk(shared_gateway: GatewayProcess) -> Iterator[Wsk]:
    with LineClient([str(go_programs() / "wsk")], shared_gateway) as client:
        yield Wsk(client)


def entry(entries: list[dict[str, Any]], key: str) -> Any:
    return next((each["value"] for each in entries if each["key"] == key), None)


def test_property_get_and_namespace_list(wsk: Wsk) -> None:
    assert wsk("property.get")["buildno"]
    (namespace,) = wsk("namespace.list")
    assert namespace["name"] == "guest"


def test_an_action_is_created_got_listed_updated_and_deleted(wsk: Wsk) -> None:
    one = {"name": "one", "exec": {"kind": "python:3", "code": HELLO}}
    created = wsk("action.insert", action=one)
    assert (created["namespace"], created["version"]) == ("guest", "0.0.1")
    assert created["publish"] is False
    limits = {"timeout": 60000, "memory": 256, "logs": 10}
    assert {key: created["limits"][key] for key in limits} == limits
    assert entry(created["annotations"], "exec") == "python:3"
    again = wsk.refused("action.insert", action=one)
    assert again.status == 409
    assert again.error.startswith("resource already exists")
    assert wsk("action.get", name="one", code=True)["exec"]["code"] == HELLO
    assert "code" not in wsk("action.get", name="one", code=False)["exec"]
    assert wsk.create("one", ECHO)["version"] == "0.0.2"
    assert "one" in [each["name"] for each in wsk("action.list", limit=30)]
    assert wsk("action.list", limit=1)[0]["name"] == "one"
    wsk("action.delete", name="one")
    gone = wsk.refused("action.get", name="one", code=True)
    assert gone.status == 404
    assert gone.error.startswith("The requested resource does not exist.")
    assert wsk.refused("action.delete", name="one").status == 404


def test_an_action_is_invoked(wsk: Wsk) -> None:
    wsk.create("hello", HELLO)
    record = wsk("action.invoke", name="hello", payload={"name": "Mike"}, blocking=True)
    assert record["response"]["result"] == {"greetings": "Hello, Mike"}
    result = wsk("action.invoke", name="hello", payload={"name": "Li"}, blocking=True, result=True)
    assert result == {"greetings": "Hello, Li"}
    accepted = wsk.refused("action.invoke", name="hello", payload={"name": "Ann"})
    assert accepted.status == 202
    assert len(accepted.answer["activationId"]) == 32


def test_errors_of_an_action_come_with_502(wsk: Wsk) -> None:
    wsk.create("fail", FAIL)
    failed = wsk.refused("action.invoke", name="fail", payload={}, blocking=True)
    assert failed.status == 502
    assert failed.answer["response"]["status"] == "application error"
    failed = wsk.refused("action.invoke", name="fail", payload={}, blocking=True, result=True)
    assert (failed.status, failed.answer) == (502, {"error": "no luck"})
    wsk.create("broken", "def main(")
    failed = wsk.refused("action.invoke", name="broken", payload={}, blocking=True)
    assert failed.status == 502
    assert failed.answer["response"]["statusCode"] == 2


def test_parameters_and_annotations(wsk: Wsk) -> None:
    wsk.create(
        "params",
        ECHO,
        parameters=[{"key": "a", "value": 1}, {"key": "b", "value": {"c": [2]}}],
        annotations=[{"key": "description", "value": "x"}, {"key": "final", "value": True}],
    )
    got = wsk("action.get", name="params", code=False)
    assert entry(got["parameters"], "b") == {"c": [2]}
    assert entry(got["annotations"], "description") == "x"
    assert entry(got["annotations"], "provide-api-key") is False
    call = {"name": "params", "blocking": True, "result": True}
    assert wsk("action.invoke", payload={"d": 3}, **call) == {"a": 1, "b": {"c": [2]}, "d": 3}
    refused = wsk.refused("action.invoke", payload={"a": 9}, **call)
    assert refused.status == 400
    assert "parameters that are not allowed" in refused.error
    changed = {"name": "params", "delAnnotations": ["final"]}
    updated = wsk("action.insert", overwrite=True, action=changed)
    assert entry(updated["annotations"], "final") is None
    assert entry(updated["annotations"], "description") == "x"
    assert wsk("action.invoke", payload={"a": 9}, **call)["a"] == 9


def test_limits(wsk: Wsk) -> None:
    limits = {"timeout": 1000, "memory": 128, "logs": 1}
    created = wsk.create("limited", ECHO, limits=limits)
    assert {key: created["limits"][key] for key in limits} == limits
    for wrong, text in (
        ({"timeout": 99}, "duration 99 milliseconds below allowed threshold"),
        ({"timeout": 300001}, "duration 300001 milliseconds exceeds allowed threshold"),
        ({"memory": 513}, "memory 513 MB exceeds allowed threshold of 512 MB"),
        ({"logs": 11}, "logs 11 MB exceeds allowed threshold of 10 MB"),
    ):
        action = {"name": "limited", "exec": {"kind": "python:3", "code": ECHO}, "limits": wrong}
        refused = wsk.refused("action.insert", overwrite=True, action=action)
        assert refused.status == 400
        assert text in refused.error


def test_a_zip_and_another_main(wsk: Wsk) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(
            "__main__.py", "from other import word\ndef go(args):\n    return {'w': word}\n"
        )
        archive.writestr("other.py", "word = 'zip'\n")
    code = base64.b64encode(content.getvalue()).decode()
    action = {"name": "zip", "exec": {"kind": "python:default", "code": code, "main": "go"}}
    created = wsk("action.insert", overwrite=True, action=action)
    assert created["exec"]["kind"] == "python:3"
    assert created["exec"]["binary"] is True
    assert wsk("action.invoke", name="zip", payload={}, blocking=True, result=True) == {"w": "zip"}
    assert wsk("action.get", name="zip", code=True)["exec"]["code"] == code


def test_a_built_file(wsk: Wsk, tmp_path: Path) -> None:
    build(ROOT / "examples" / "hello.py", tmp_path / "hello.zip")
    # Of a file with this ending, wsk sends the content as base64.
    code = base64.b64encode((tmp_path / "hello.zip").read_bytes()).decode()
    assert wsk.create("built", code)["exec"]["binary"] is True
    given = {"name": "built", "payload": {"name": "Mike"}, "blocking": True, "result": True}
    assert wsk("action.invoke", **given) == {"greetings": "Hello, Mike"}


def test_a_native_program(wsk: Wsk) -> None:
    script = "#!/bin/sh\nwhile read -r line; do echo '{\"native\": true}' >&3; done\n"
    action = {
        "name": "native",
        "exec": {"kind": "blackbox", "code": script, "image": "openwhisk/dockerskeleton"},
    }
    assert wsk("action.insert", overwrite=True, action=action)["exec"]["kind"] == "blackbox"
    result = wsk("action.invoke", name="native", payload={}, blocking=True, result=True)
    assert result == {"native": True}


@pytest.mark.parametrize(
    ("executable", "text"),
    [
        ({"kind": "nodejs:20", "code": "x"}, "kind 'nodejs:20' not in Set"),
        ({"kind": "python:3.6", "code": "x"}, "use --kind python:3"),
        ({"kind": "blackbox", "image": "me/mine"}, "no container engine"),
        ({"kind": "blackbox", "image": "openwhisk/dockerskeleton"}, "'code' must be a string"),
        ({"kind": "python:3"}, "'code' must be a string"),
        ({"kind": "sequence"}, "'components' must be defined"),
    ],
)
def test_what_cannot_run_is_refused(wsk: Wsk, executable: dict[str, Any], text: str) -> None:
    refused = wsk.refused("action.insert", action={"name": "refused", "exec": executable})
    assert refused.status == 400
    assert text in refused.error
    assert wsk.refused("action.get", name="refused", code=False).status == 404


def test_packages_and_bindings(wsk: Wsk) -> None:
    parameters = [{"key": "color", "value": "red"}]
    created = wsk("package.insert", contents={"name": "pkg", "parameters": parameters})
    assert created["version"] == "0.0.1"
    assert wsk.refused("package.insert", contents={"name": "pkg"}).status == 409
    wsk.create("pkg/echo", ECHO)
    got = wsk("package.get", name="pkg")
    assert [each["name"] for each in got["actions"]] == ["echo"]
    assert entry(got["parameters"], "color") == "red"
    assert wsk("action.get", name="pkg/echo", code=False)["namespace"] == "guest/pkg"
    assert [each["name"] for each in wsk("action.list", package="pkg", limit=30)] == ["echo"]
    call = {"blocking": True, "result": True, "payload": {"x": 1}}
    assert wsk("action.invoke", name="pkg/echo", **call) == {"color": "red", "x": 1}
    target = {"namespace": "_", "name": "pkg"}
    contents = {"parameters": [{"key": "size", "value": 3}]}
    wsk("package.bind", name="bound", target=target, contents=contents)
    assert wsk("action.invoke", name="bound/echo", **call) == {"color": "red", "size": 3, "x": 1}
    got = wsk("package.get", name="bound")
    assert got["binding"] == {"namespace": "guest", "name": "pkg"}
    assert [each["name"] for each in got["actions"]] == ["echo"]
    assert [each["name"] for each in wsk("action.list", package="bound", limit=30)] == ["echo"]
    found = {each["name"] for each in wsk("package.list", limit=30)}
    assert {"pkg", "bound"} <= found
    assert len(wsk("package.list", limit=1)) == 1
    updated = wsk("package.insert", overwrite=True, contents={"name": "pkg", "publish": True})
    assert (updated["version"], updated["publish"]) == ("0.0.2", True)
    assert entry(updated["parameters"], "color") == "red"


def test_what_bindings_do_not_allow(wsk: Wsk) -> None:
    wsk("package.insert", overwrite=True, contents={"name": "base"})
    wsk("package.bind", name="alias", target={"namespace": "_", "name": "base"})
    action = {"name": "alias/x", "exec": {"kind": "python:3", "code": ECHO}}
    refused = wsk.refused("action.insert", action=action)
    assert (refused.status, refused.error.partition(" (")[0]) == (
        400, "Operation not permitted on package binding.",
    )  # fmt: skip
    for target, status, text in (
        ({"namespace": "_", "name": "alias"}, 400, "Cannot bind to another package binding."),
        ({"namespace": "_", "name": "nothing"}, 400, "Binding references a package that does not"),
    ):
        refused = wsk.refused("package.bind", name="other", target=target)
        assert refused.status == status
        assert refused.error.startswith(text)
    refused = wsk.refused("package.bind", name="base", overwrite=True, target={"name": "alias"})
    assert refused.status == 409
    assert "cannot be converted into a binding" in refused.error
    assert wsk.refused("action.insert", action={**action, "name": "nowhere/x"}).status == 404


def test_a_package_is_deleted_only_if_empty(wsk: Wsk) -> None:
    wsk("package.insert", contents={"name": "full"})
    wsk.create("full/a", ECHO)
    refused = wsk.refused("package.delete", name="full")
    assert refused.status == 409
    assert refused.error.startswith("Package not empty (contains 1 entity)")
    wsk("action.delete", name="full/a")
    wsk("package.delete", name="full")
    assert wsk.refused("package.get", name="full").status == 404
    assert wsk.refused("package.delete", name="full").status == 404


def test_a_sequence(wsk: Wsk) -> None:
    wsk.create("first", "def main(args):\n    return {'n': args['n'] + 1}\n")
    wsk.create("second", "def main(args):\n    return {'n': args['n'] * 10}\n")
    components = ["/_/first", "/_/second", "/_/first"]
    action = {"name": "steps", "exec": {"kind": "sequence", "components": components}}
    created = wsk("action.insert", overwrite=True, action=action)
    assert created["exec"]["components"] == ["/guest/first", "/guest/second", "/guest/first"]
    record = wsk("action.invoke", name="steps", payload={"n": 1}, blocking=True)
    assert record["response"]["result"] == {"n": 21}
    assert entry(record["annotations"], "topmost") is True
    assert entry(record["annotations"], "kind") == "sequence"
    parts = [wsk("activation.get", name=identifier) for identifier in record["logs"]]
    assert [part["name"] for part in parts] == ["first", "second", "first"]
    assert {part["cause"] for part in parts} == {record["activationId"]}
    assert {entry(part["annotations"], "causedBy") for part in parts} == {"sequence"}
    assert record["duration"] == sum(part["duration"] for part in parts)
    inner = {"name": "outer", "exec": {"kind": "sequence", "components": ["/_/steps", "/_/second"]}}
    wsk("action.insert", overwrite=True, action=inner)
    record = wsk("action.invoke", name="outer", payload={"n": 1}, blocking=True)
    assert record["response"]["result"] == {"n": 210}
    nested = wsk("activation.get", name=record["logs"][0])
    assert entry(nested["annotations"], "topmost") is False
    assert nested["cause"] == record["activationId"]


def test_an_error_ends_a_sequence(wsk: Wsk) -> None:
    wsk.create("fail", FAIL)
    wsk.create("after", ECHO)
    action = {"name": "stops", "exec": {"kind": "sequence", "components": ["/_/fail", "/_/after"]}}
    wsk("action.insert", overwrite=True, action=action)
    failed = wsk.refused("action.invoke", name="stops", payload={"what": "go"}, blocking=True)
    assert failed.status == 502
    assert failed.answer["response"]["result"] == {"error": "no go"}
    assert len(failed.answer["logs"]) == 1


def test_a_sequence_that_cannot_be(wsk: Wsk) -> None:
    wsk.create("one-step", ECHO)
    for components, text in (
        (["/_/loop"], "Sequence may not refer to itself."),
        (["/_/one-step", "/_/missing"], "Sequence component does not exist."),
        (["/_/one-step"] * 51, "Too many actions in the sequence."),
    ):
        action = {"name": "loop", "exec": {"kind": "sequence", "components": components}}
        refused = wsk.refused("action.insert", action=action)
        assert refused.status == 400
        assert refused.error.startswith(text)
    for name, component in (("ring", "one-step"), ("ring-two", "ring"), ("ring", "ring-two")):
        action = {"name": name, "exec": {"kind": "sequence", "components": [f"/_/{component}"]}}
        refused = wsk.refused("action.insert", overwrite=True, action=action)
        assert refused.status == (400 if component == "ring-two" else 200)


def test_triggers_and_rules(wsk: Wsk) -> None:
    wsk.create("target", ECHO)
    trigger = {"name": "tick", "parameters": [{"key": "a", "value": 1}]}
    assert wsk("trigger.insert", trigger=trigger)["version"] == "0.0.1"
    assert wsk.refused("trigger.insert", trigger=trigger).status == 409
    assert wsk.refused("trigger.fire", name="tick", payload={"b": 2}).status == 204
    rule = {"name": "on-tick", "trigger": "/_/tick", "action": "/_/target"}
    created = wsk("rule.insert", rule=rule)
    assert created["status"] == "active"
    assert created["trigger"] == {"path": "guest", "name": "tick"}
    assert created["action"] == {"path": "guest", "name": "target"}
    got = wsk("trigger.get", name="tick")
    assert got["rules"]["guest/on-tick"]["status"] == "active"
    fired = wsk.refused("trigger.fire", name="tick", payload={"b": 2})
    assert fired.status == 202
    record = wsk("activation.get", name=fired.answer["activationId"])
    assert record["response"]["result"] == {"b": 2}
    (line,) = record["logs"]
    assert '"rule":"guest/on-tick"' in line
    assert '"action":"guest/target"' in line
    wsk.refused("rule.state", name="on-tick", state="inactive")
    assert wsk("rule.get", name="on-tick")["status"] == "inactive"
    assert wsk.refused("trigger.fire", name="tick", payload={}).status == 204
    wsk.refused("rule.state", name="on-tick", state="active")
    assert wsk("rule.get", name="on-tick")["status"] == "active"
    assert "on-tick" in [each["name"] for each in wsk("rule.list", limit=30)]
    assert "tick" in [each["name"] for each in wsk("trigger.list", limit=30)]
    updated = wsk("trigger.insert", overwrite=True, trigger={"name": "tick"})
    assert updated["version"] == "0.0.2"
    assert entry(updated["parameters"], "a") == 1
    wsk("trigger.delete", name="tick")
    assert wsk("rule.get", name="on-tick")["status"] == "inactive"
    assert wsk.refused("rule.state", name="on-tick", state="active").status == 404
    wsk("rule.delete", name="on-tick")
    assert wsk.refused("rule.get", name="on-tick").status == 404
    assert wsk.refused("trigger.get", name="tick").status == 404
    assert wsk.refused("trigger.fire", name="tick", payload={}).status == 404


def test_a_rule_needs_its_trigger_and_its_action(wsk: Wsk) -> None:
    wsk.create("there", ECHO)
    wsk("trigger.insert", overwrite=True, trigger={"name": "bell"})
    for rule, text in (
        ({"trigger": "/_/none", "action": "/_/there"}, "does not exist"),
        ({"trigger": "/_/bell", "action": "/_/none"}, "does not exist"),
        ({"trigger": "/_/bell"}, "rule requires a valid trigger and a valid action"),
    ):
        refused = wsk.refused("rule.insert", rule={"name": "bad", **rule})
        assert refused.status == 400
        assert text in refused.error


def test_activations(wsk: Wsk) -> None:
    wsk.create("counted", HELLO)
    wsk("package.insert", overwrite=True, contents={"name": "within"})
    wsk.create("within/counted", HELLO)
    records = [
        wsk("action.invoke", name=name, payload={"name": "x"}, blocking=True)
        for name in ("counted", "within/counted", "counted")
    ]
    identifiers = [record["activationId"] for record in records]
    listed = wsk("activation.list", name="counted", limit=10)
    assert [each["activationId"] for each in listed] == [identifiers[2], identifiers[0]]
    assert listed[0]["statusCode"] == 0
    listed = wsk("activation.list", name="within/counted", limit=10)
    assert [each["activationId"] for each in listed] == [identifiers[1]]
    assert len(wsk("activation.list", limit=2)) == 2
    skipped = wsk("activation.list", name="counted", limit=10, skip=1)
    assert [each["activationId"] for each in skipped] == [identifiers[0]]
    since = wsk("activation.list", name="counted", limit=10, since=records[2]["start"])
    assert [each["activationId"] for each in since] == [identifiers[2]]
    upto = wsk("activation.list", name="counted", limit=10, upto=records[0]["start"])
    assert [each["activationId"] for each in upto] == [identifiers[0]]
    whole = wsk("activation.list", name="counted", limit=1, docs=True)[0]
    assert whole["response"]["result"] == {"greetings": "Hello, x"}
    (line,) = wsk("activation.logs", name=identifiers[0])["logs"]
    assert line.endswith("stdout: called")
    assert wsk("activation.result", name=identifiers[0])["result"] == {"greetings": "Hello, x"}
    assert wsk("activation.get", name=identifiers[0])["duration"] == records[0]["duration"]
    assert wsk.refused("activation.get", name="0" * 32).status == 404
    assert wsk.refused("activation.get", name="123").status == 400
    assert wsk.refused("activation.list", limit=201).status == 400
