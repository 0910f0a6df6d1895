from __future__ import annotations

import json

import pytest

from hotwhisk.platform import Action, Names, is_base64
from hotwhisk.platform.action import environment_text, init_body, run_body

NAMES = Names("a" * 32, "t" * 32, "caller")


@pytest.mark.parametrize(
    ("code", "binary"),
    [
        ("", False),
        ("main", True),  # a source text that happens to match is sent as binary
        ("UEsDBA==", True),
        ("  UEsDBA==\n", True),
        ("UEsDBA=", False),
        ("UEsD\nBA==", False),
        ("UEsDB===", False),
        ("=ABC", False),
        ("def main(args): return args", False),
    ],
)
def test_the_platform_finds_out_what_is_binary(code: str, binary: bool) -> None:
    assert is_base64(code) is binary


def test_an_init_holds_the_code_and_the_environment() -> None:
    action = Action(
        "box/hello", "code!", main="niam", init_parameters={"A": None, "B": 1, "C": [True, "é"]}
    )
    value = json.loads(init_body(action, NAMES, 5000))["value"]
    assert value == {
        "name": "hello",
        "main": "niam",
        "code": "code!",
        "binary": False,
        "env": {
            "A": "",
            "B": "1",
            "C": '[true,"é"]',
            "__OW_NAMESPACE": "caller",
            "__OW_ACTION_NAME": "/guest/box/hello",
            "__OW_ACTION_VERSION": "0.0.1",
            "__OW_ACTIVATION_ID": "a" * 32,
            "__OW_TRANSACTION_ID": "t" * 32,
            "__OW_DEADLINE": "5000",
        },
    }


def test_a_baked_in_action_has_no_code() -> None:
    value = json.loads(init_body(Action("hello"), NAMES, 0))["value"]
    assert "code" not in value
    assert "binary" not in value


def test_a_run_holds_the_argument_and_a_deadline_that_is_a_string() -> None:
    body = json.loads(run_body(Action("hello", api_key="id:key"), NAMES, 123, [1]))
    assert body == {
        "value": [1],
        "namespace": "caller",
        "action_name": "/guest/hello",
        "action_version": "0.0.1",
        "activation_id": "a" * 32,
        "transaction_id": "t" * 32,
        "deadline": "123",
        "api_key": "id:key",
    }
    assert "api_key" not in json.loads(run_body(Action("hello"), NAMES, 123, {}))


def test_a_lone_surrogate_leaves_as_a_question_mark() -> None:
    assert json.loads(run_body(Action("hello"), NAMES, 0, {"a": "\ud800"}))["value"] == {"a": "?"}


def test_defaults_are_merged_into_objects_only() -> None:
    action = Action("hello", parameters={"a": 1, "b": 2})
    assert action.argument({"b": 3}) == {"a": 1, "b": 3}
    assert action.argument([4]) == [4]


def test_an_init_parameter_becomes_text() -> None:
    assert environment_text({"a": 1.5}) == '{"a":1.5}'
    assert environment_text("a=b") == "a=b"
