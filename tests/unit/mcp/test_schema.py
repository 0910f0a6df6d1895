"""What a tool takes, from the source of its action."""

from __future__ import annotations

from typing import Any

import pytest

from hotwhisk.mcp.schema import MOST_SOURCE, Description, describe

OPEN = {"type": "object"}


def schema_of(annotation: str) -> Any:
    """Return the schema of a member with an annotation."""
    source = f"class E(TypedDict):\n    x: {annotation}\ndef main(event: E): pass\n"
    return describe(source).schema["properties"]["x"]


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("str", {"type": "string"}),
        ("'int'", {"type": "integer"}),
        ("float", {"type": "number"}),
        ("bool", {"type": "boolean"}),
        ("None", {"type": "null"}),
        ("list", {"type": "array"}),
        ("list[int]", {"type": "array", "items": {"type": "integer"}}),
        ("typing.List[Any]", {"type": "array"}),
        ("dict", {"type": "object"}),
        ("dict[str, str]", {"type": "object", "additionalProperties": {"type": "string"}}),
        ("str | None", {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ("Optional[str]", {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ("Union[str, int, None]",
         {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]}),
        ("str | int | bool",
         {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "boolean"}]}),
        ("Literal['a', 1, None]", {"enum": ["a", 1, None]}),
        ("Literal[b'a']", {}),
        ("Annotated[str, 'Where.']", {"type": "string", "description": "Where."}),
        ("Any", {}),
        ("str | Any", {}),
        ("Decimal", {}),
        ("'not python'", {}),
        ("f(1)", {}),
        ("E", {"type": "object"}),
    ],
)  # fmt: skip
def test_annotations(annotation: str, expected: object) -> None:
    assert schema_of(annotation) == expected


def test_a_typed_dict_is_what_a_tool_takes() -> None:
    source = '''
"""A module."""
import typing as t

class Base(t.TypedDict, total=False):
    unit: t.Required[str]
    """The unit
    of the answer."""

class Size(t.TypedDict):
    """How large."""
    width: int

class Place(Base):
    """Not shown: the tool has its own description."""
    city: str
    days: t.NotRequired[int]
    again: t.Annotated[t.NotRequired[str], "More."]
    size: Size

if True:
    async def main(event: "Place", context):
        """
        Say the weather.

            As it is.
        """
'''
    found = describe(source)
    assert found.text == "Say the weather.\n\n    As it is."
    assert found.schema == {
        "type": "object",
        "properties": {
            "unit": {"type": "string", "description": "The unit of the answer."},
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "again": {"type": "string", "description": "More."},
            "size": {
                "type": "object", "description": "How large.",
                "properties": {"width": {"type": "integer"}}, "required": ["width"],
            },
        },
        "required": ["unit", "city", "size"],
    }  # fmt: skip


def test_members_that_are_read_by_name() -> None:
    source = """
def other(args): return args["not"]
def main(args):
    args["set"] = 1
    a = args["a"]
    b = args.get("b", [1, "x"])
    c = args.get("c") or args.get("c", 5)
    d = args.get("d", compute())
    args.pop("e"); args[0]; args[a]; b["f"]
"""
    found = describe(source)
    assert found.text == ""
    properties = {"a": {}, "b": {"default": [1, "x"]}, "c": {"default": 5}, "d": {}}
    assert found.schema == {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    "source",
    [
        "", "def main(:", "main = 3", "def other(event): pass", "def main(): pass", "\0",
        "def main(event): pass", "def main(event: dict): pass", "def main(event: Unknown): pass",
        "def main(event: Optional[()]): pass",
        "x = " + "(" * 300 + ")" * 300, "x = " + "-" * 100_000 + "1",
        "class E(TypedDict, E): x: int\ndef main(event: F): pass", "a" * (MOST_SOURCE + 1),
    ],
)  # fmt: skip
def test_a_source_that_says_nothing_leaves_the_object_open(source: str) -> None:
    assert describe(source) == Description()
    assert describe(source).schema == OPEN


def test_classes_that_are_derived_from_each_other_or_too_deep() -> None:
    circle = "class A(B): x: int\nclass B(A): y: int\ndef main(event: A): pass\n"
    assert describe(circle).schema == OPEN
    own = "class A(TypedDict, A): x: int\ndef main(event: A): pass\n"
    assert describe(own).schema["properties"] == {"x": {"type": "integer"}}
    deep = f"def main(event: {' | '.join(['int'] * 20_000)}): pass\n"
    assert describe(deep).schema == OPEN


def test_the_docstring_of_the_module_and_another_handler() -> None:
    source = '"""Do it."""\ndef go(event): return event["x"]\n'
    assert describe(source, "go").text == "Do it."
    assert describe(source, "go").schema["properties"] == {"x": {}}
    assert describe(source, "main").schema == OPEN
    by_start = f"{source}\nif __name__ == '__main__':\n    start(go)\n"
    assert describe(by_start, "main").schema["properties"] == {"x": {}}
