from __future__ import annotations

import sys

import pytest

from hotwhisk.gateway.api.action_kinds import check_exec, runtimes
from hotwhisk.gateway.api.errors import ApiError

OWN = f"python:3.{sys.version_info.minor}"


@pytest.mark.parametrize(
    ("kind", "stored"),
    [
        ("python:3", "python:3"),
        ("python:default", "python:3"),
        (" Python:3 ", "python:3"),
        (OWN, OWN),
    ],
)
def test_pythons(kind: str, stored: str) -> None:
    executable, code = check_exec({"kind": kind, "code": "x = 1"}, "guest")
    assert executable == {"kind": stored, "binary": False}
    assert code == "x = 1"


def test_code_in_base64_and_another_main() -> None:
    given = {"kind": "python:3", "code": "UEsDBA==", "main": "go", "binary": False}
    executable, _ = check_exec(given, "guest")
    assert executable == {"kind": "python:3", "main": "go", "binary": True}


@pytest.mark.parametrize(
    "given", [{"kind": "native"}, {"kind": "blackbox", "image": "x/actionloop:1"}]
)
def test_native_programs(given: dict[str, str]) -> None:
    executable, _ = check_exec({**given, "code": "#!/bin/sh"}, "guest")
    assert executable["kind"] == "blackbox"
    assert executable["image"]


def test_the_components_of_a_sequence_get_their_namespace() -> None:
    components = ["/_/a", "/other/p/b", "_/c"]
    executable, code = check_exec({"kind": "sequence", "components": components}, "guest")
    assert executable["components"] == ["/guest/a", "/other/p/b", "/guest/c"]
    assert code is None


@pytest.mark.parametrize(
    ("given", "status", "text"),
    [
        (1, 400, "Object expected"),
        ({}, 400, "'kind' must be a string"),
        ({"kind": "python:2", "code": "x"}, 400, "start hotwhisk up with that Python"),
        ({"kind": "go:1.22", "code": "x"}, 400, "no container engine"),
        ({"kind": "nodejs:default", "code": "x"}, 400, "is Python, give the kind python:3"),
        (
            {"kind": "blackbox", "image": "me/mine", "code": "x"},
            400,
            "the image me/mine cannot run",
        ),
        ({"kind": "blackbox", "image": 3, "code": "x"}, 400, "'image' must be a string"),
        ({"kind": "native", "code": " "}, 400, "'code' must be a string"),
        ({"kind": "python:3", "code": {}}, 400, "'code' must be a string"),
        ({"kind": "python:3", "code": "x", "main": 1}, 400, "'main' must be a string"),
        ({"kind": "python:3", "code": "é" * (24 << 20) + "x"}, 413, "exec larger than allowed"),
        ({"kind": "sequence"}, 400, "'components' must be defined"),
        ({"kind": "sequence", "components": "a"}, 400, "'components' must be an array"),
        ({"kind": "sequence", "components": ["a"]}, 400, "The fully qualified name"),
    ],
)
def test_what_is_refused(given: object, status: int, text: str) -> None:
    with pytest.raises(ApiError) as raised:
        check_exec(given, "guest")
    assert raised.value.status == status
    assert text in raised.value.text


def test_one_python_is_the_default() -> None:
    listed = runtimes()["python"]
    assert [each["kind"] for each in listed if each["default"]] == ["python:3"]
    assert OWN in [each["kind"] for each in listed]
