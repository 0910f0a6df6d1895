"""JSON gives the standard library's results, with orjson and without."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import enum
import json
import math
import sys
import uuid
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hotwhisk import faster_json, json_codec

FOUND: list[faster_json.FasterJson] = []


@pytest.fixture(autouse=True, params=["stdlib", "faster", "faster, many nodes"])
def faster(request: pytest.FixtureRequest) -> Iterator[None]:
    """Read and write each value by the standard library, and by orjson with either proof."""
    if request.param == "stdlib":
        yield
        return
    if not FOUND:  # once for all tests: a process imports it twice at the most
        assert json_codec.use_faster(), "orjson is missing: ./run setup installs it"
        assert json_codec._Faster.codec is not None
        FOUND.append(json_codec._Faster.codec)
        json_codec.dumps(["x" * faster_json.WORTH_THE_IMPORT])
        assert FOUND[0].library
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_codec._Faster, "codec", FOUND[0])
        patch.setattr(faster_json, "WORTH_WHILE", 0)
        if "many" in request.param:
            patch.setattr(faster_json, "FEW_NODES", 0)
        yield
    json_codec._Faster.codec = None


def outcome(function: object, argument: object) -> object:
    try:
        value = function(argument)  # type: ignore[operator]
    except Exception as error:  # noqa: BLE001 - whatever it is, both must raise it
        return type(error), str(error)
    return repr(value)  # in which 1, 1.0 and True differ, -0.0 and 0.0 too, and NaN is NaN


def expected_text(value: object) -> bytes:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")


def written(value: object) -> bytes:
    """Return the JSON of a value; each float with the text that the standard library gives it."""
    text = json_codec.dumps(value)
    if text != expected_text(value):
        assert json_codec._Faster.codec is not None
        text = expected_text(json.loads(text))
    return text


text = st.text(st.characters(codec=None), max_size=8) | st.sampled_from(
    ["null", '"', "\\", "1" * 19]
)
numbers = (
    st.integers()
    | st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64 - 1, 2**64, 10**18, 10**19])
    | st.floats()
    | st.sampled_from([1e-8, 1e-5, 1e15, 1e16, 1e17, 1e21, 1e22, 5e-324, 2.2250738585072014e-308])
)
plain = st.none() | st.booleans() | numbers | text
digits = st.text("0123456789", min_size=1, max_size=40)
signs = st.sampled_from(["", "-"])
wholes = st.just("0") | st.integers(1, 10**25).map(str)
fractions = st.just("") | digits.map(".{}".format)
exponents = st.just("") | st.builds(
    "{}{}".format, st.sampled_from(["e", "E+", "e-"]), st.integers(0, 400)
)
values = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(text | st.integers() | st.none(), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(values)
def test_writes_as_the_standard_library(value: object) -> None:
    for inner in (value, [value, 0.5, None]):
        assert outcome(written, inner) == outcome(expected_text, inner)


@settings(max_examples=200, deadline=None)
@given(values, st.booleans(), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
def test_reads_as_the_standard_library(value: object, ascii: bool, coding: str) -> None:
    data = json.dumps(value, ensure_ascii=ascii).encode(coding, "surrogatepass")
    assert outcome(json_codec.loads, data) == outcome(json.loads, data)
    assert outcome(json_codec.loads, memoryview(data)) == outcome(json.loads, data)


@settings(max_examples=300, deadline=None)
@example('"":')
@given(st.text('{}[]",:\\u0d8-1e. \n\x01"', max_size=20) | st.binary(max_size=12))
def test_refuses_as_the_standard_library(piece: str | bytes) -> None:
    data = piece if isinstance(piece, bytes) else piece.encode("utf-8", "surrogatepass")
    for body in (data, b"{" + data, b"[1.5," + data + b"]", b'["' + data + b'"]'):
        assert outcome(json_codec.loads, body) == outcome(json.loads, body)


@settings(max_examples=200, deadline=None)
@example("-0")
@example("0." + "0" * 40 + "1")
@example("9007199254740993.0000000000000000000000000001")
@example("2.2250738585072011e-308")
@example("1" + "0" * 400)
@example("9223372036854775808")
@example("1234567890123456789e0")
@given(st.builds("{}{}{}{}".format, signs, wholes, fractions, exponents))
def test_reads_each_number_as_the_standard_library(number: str) -> None:
    for body in (f'{{"n":{number}}}', f"[[[{number} ]],0.5]", f"[0.25,{number}]"):
        assert outcome(json_codec.loads, body.encode()) == outcome(json.loads, body)


@pytest.mark.parametrize(
    "piece",
    [
        "-0",
        "-0.0",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775809",
        "1e400",
        "1e-400",
        "NaN",
        "-Infinity",
        '"\\ud800"',
        '"\\ud83d\\ude00"',
        '"\\u0000\x7f"',
        '{"a":1,"b":2,"a":3}',
        "1.0",
        "1E2",
        "[" * 31 + "]" * 31,
        "[" * 500 + "]" * 500,
        '{"a":' * 500 + "0" + "}" * 500,
    ],
)
def test_hard_pieces(piece: str) -> None:
    for body in (f'{{"a":{piece}}} ', f" [[1.5,2],{piece}]\n"):
        assert outcome(json_codec.loads, body.encode()) == outcome(json.loads, body.encode())


def test_deep_documents_are_read_as_by_the_standard_library() -> None:
    def through_one_call(data: bytes) -> object:  # as `loads` calls it: the stack is as deep
        return json_codec.loads_short(data)

    def kind(function: Callable[[bytes], object], data: bytes) -> type:
        try:
            return type(function(data))
        except RecursionError:
            return RecursionError

    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        for depth in range(880, 1080):
            body = b"[1.5," + opening * depth + b"1" + closing * depth + b"]"
            assert kind(json_codec.loads, body) is kind(through_one_call, body), depth


class Text(str):
    __slots__ = ()


class Colour(enum.StrEnum):
    RED = "r"


class Number(enum.IntEnum):
    ONE = 1


class Shape(enum.Enum):
    ROUND = "round"


class Trap(enum.Enum):
    SET = 1

    @property
    def value(self) -> object:
        raise ZeroDivisionError("code of the action runs")


@dataclasses.dataclass
class Point:
    x: int = 1


class Pair(NamedTuple):
    a: int
    b: int


HARD = [
    Text("t"),
    Colour.RED,
    Number.ONE,
    Shape.ROUND,
    Trap.SET,
    Point(),
    Pair(1, 2),
    collections.OrderedDict(a=1),
    collections.defaultdict(int, a=1),
    uuid.UUID(int=1),
    dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    dt.date(2026, 1, 1),
    dt.time(1),
    (1, 2),
    {1},
    b"bytes",
    memoryview(b"m"),
    object(),
    int,
    2**64,
    -(2**63) - 1,
    10**5000,
    1e16,
    1e-8,
    -0.0,
    math.nan,
    math.inf,
    [math.nan, "null"],
    [None, math.nan],
    [1.5, None, "null"],
    "\ud800",
    "\x00\x1f\x7f\u2028/",
    {1: 2},
    {1.5: 2},
    {True: 1},
    {None: 1},
    {(1, 2): 1},
    {Colour.RED: 1},
    {Text("t"): 1},
    {"\ud800": 1},
    {"null": 1.5},
]


@pytest.mark.parametrize("value", HARD, ids=[f"{index}" for index in range(len(HARD))])
def test_hard_types(value: object) -> None:
    for inner in ({"v": value}, [[value, 0.5, None]]):
        assert outcome(written, inner) == outcome(expected_text, inner)


def test_numpy_is_refused_as_by_the_standard_library() -> None:
    import numpy as np

    for value in (np.float64(1.5), np.int64(1), np.array([1, 2]), np.bool_(True)):
        for inner in ({"v": value}, [[value, 0.5, None]]):
            assert outcome(written, inner) == outcome(expected_text, inner)


def test_one_container_at_many_places_is_written_at_each() -> None:
    row: list[object] = [None, 1.5]
    for value in ([row] * 5000, [[row] * 400] * 400, {"a": [row] * 3000, "b": row}):
        assert written(value) == expected_text(value)


def test_a_value_that_holds_itself_is_refused_in_few_words() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(RecursionError) as raised:
        json_codec.dumps({"here": value})
    notes = getattr(raised.value, "__notes__", [])
    assert len(notes) <= json_codec.MOST_NOTES
    if sys.version_info >= (3, 14):
        assert notes[-1] == "when serializing dict item 'here'"


def test_a_large_value_that_holds_itself_is_refused() -> None:
    root: dict[str, object] = {}
    root["children"] = [{"parent": root, "number": number} for number in range(2000)]
    many: list[object] = []
    many += [many] * 2000
    for value in (root, many):
        with pytest.raises(RecursionError):
            json_codec.dumps(value)
