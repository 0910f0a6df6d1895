"""JSON gives the standard library's results, with orjson and without."""

from __future__ import annotations

import enum
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hotwhisk import json_codec

IMPORTED: list[json_codec._Library | None] = []
LONG = "x" * json_codec.WORTH_WHILE


@pytest.fixture(autouse=True, params=[False, True], ids=["stdlib", "faster"])
def faster(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.param:
        assert json_codec.use_faster(), "orjson is missing: ./run setup installs it"
        # Once for all tests: a process imports it twice at the most, not hundreds of times.
        IMPORTED.append(IMPORTED[0] if IMPORTED else json_codec._faster())
        json_codec._Faster.library, json_codec._Faster.wanted = IMPORTED[0], False
    yield
    json_codec._Faster.wanted, json_codec._Faster.library = False, None


def outcome(function: object, argument: object) -> object:
    try:
        value = function(argument)  # type: ignore[operator]
    except Exception as error:  # noqa: BLE001 - whatever it is, both must raise it
        return type(error), str(error)
    return repr(value)


def expected_text(value: object) -> bytes:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")


text = st.text(st.characters(codec=None), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(text | st.integers() | st.none(), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(values, st.booleans())
def test_writes_as_the_standard_library(value: object, long: bool) -> None:
    value = [value, LONG] if long else value
    assert outcome(json_codec.dumps, value) == outcome(expected_text, value)


@settings(max_examples=200, deadline=None)
@given(values, st.booleans(), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
def test_reads_as_the_standard_library(value: object, ascii: bool, coding: str) -> None:
    for inner in (value, {"v": value, "long": LONG}):
        data = json.dumps(inner, ensure_ascii=ascii).encode(coding, "surrogatepass")
        assert outcome(json_codec.loads, data) == outcome(json.loads, data)
        assert outcome(json_codec.loads, memoryview(data)) == outcome(json.loads, data)


@settings(max_examples=200, deadline=None)
@example('"":')
@given(st.text('{}[]",:\\u0d8-1e. \n\x01"', max_size=20) | st.binary(max_size=12))
def test_refuses_as_the_standard_library(piece: str | bytes) -> None:
    data = piece if isinstance(piece, bytes) else piece.encode()
    for body in (data, b"{" + data, b'{"a":"%s",' % LONG.encode() + data + b"}"):
        assert outcome(json_codec.loads, body) == outcome(json.loads, body)


@pytest.mark.parametrize(
    "piece",
    [
        "-0",
        "-0.0",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775809",
        "1e400",
        "NaN",
        "-Infinity",
        '"\\ud800"',
        '"\\ud83d\\ude00"',
        '{"a":1,"a":2}',
        "1.0",
        "1E2",
    ],
)
def test_hard_pieces(piece: str) -> None:
    for body in (f'{{"a":{piece}}} ', f' {{"a":{piece},"long":"{LONG}"}}'):
        assert outcome(json_codec.loads, body.encode()) == outcome(json.loads, body.encode())


def test_hard_types() -> None:
    class Text(str):
        __slots__ = ()

    class Colour(enum.StrEnum):
        RED = "r"

    class Number(enum.IntEnum):
        ONE = 1

    hard = [
        Text("t"),
        Colour.RED,
        Number.ONE,
        uuid.UUID(int=1),
        (1, 2),
        2**64,
        -(2**63) - 1,
        1e16,
        -0.0,
    ]
    for value in [*hard, {1: 2}, {True: 1}, {Colour.RED: 1}, {"\ud800": "\x7f\x1f/\u2028"}]:
        assert outcome(json_codec.dumps, [LONG, value]) == outcome(expected_text, [LONG, value])


def test_an_action_does_not_see_the_faster_library() -> None:
    code = (
        "import sys\nfrom hotwhisk import json_codec\nused = json_codec.use_faster()\n"
        "assert not any(name.startswith('orjson') for name in sys.modules)\n"
        "if used:\n    import orjson\n    assert orjson.loads('[1]') == [1]\n"
        f"assert json_codec.loads(json_codec.dumps(['x' * {len(LONG)}])) == ['x' * {len(LONG)}]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_value_that_holds_itself_is_refused_in_few_words() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(RecursionError) as raised:
        json_codec.dumps({"here": value})
    notes = getattr(raised.value, "__notes__", [])
    assert len(notes) <= json_codec.MOST_NOTES
    if sys.version_info >= (3, 14):
        assert notes[-1] == "when serializing dict item 'here'"
