"""orjson is imported when it is worth it, out of the action's sight; its proofs hold."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections import OrderedDict
from contextlib import nullcontext
from importlib.machinery import PathFinder
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotwhisk import faster_json
from hotwhisk.faster_json import FasterJson, find_library

SPEC = find_library()
ROWS = [{"id": number, "x": number / 7, "name": f"row {number}"} for number in range(3000)]


def run(code: str, *paths: Path) -> str:
    """Return what a fresh interpreter prints that has these folders first on its path."""
    first = f"import sys; sys.path[:0] = {[str(path) for path in paths]}\n"
    done = subprocess.run(
        [sys.executable, "-c", first + code], capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr
    return done.stdout


@pytest.mark.slow
def test_an_action_does_not_see_the_faster_library() -> None:
    run(
        "from hotwhisk import json_codec\n"
        "assert json_codec.use_faster()\n"
        "assert not any(name.startswith('orjson') for name in sys.modules)\n"
        "import orjson\n"
        "own = {name: module for name, module in sys.modules.items() if 'orjson' in name}\n"
        "value = ['x' * 200_000, [1.5] * 5000]\n"
        "assert json_codec.loads(json_codec.dumps(value)) == value\n"
        "assert json_codec._Faster.codec.library not in (None, orjson)\n"
        "assert own == {name: module for name, module in sys.modules.items() if 'orjson' in name}\n"
        "assert orjson.loads('[1]') == [1]\n"
    )


@pytest.mark.slow
def test_the_library_beside_hotwhisk_goes_before_that_of_the_action(tmp_path: Path) -> None:
    private, theirs = tmp_path / "private", tmp_path / "theirs"
    assert SPEC is not None
    assert SPEC.origin is not None
    for folder in (private, theirs):
        folder.mkdir()
    package = Path(faster_json.__file__).parent
    (private / "hotwhisk").symlink_to(package)
    (private / "orjson").symlink_to(Path(SPEC.origin).parent)
    (theirs / "orjson.py").write_text("NAME = 'of the action'\n")
    printed = run(
        f"sys.path[:0] = [{str(private)!r}]\n"
        "from hotwhisk import json_codec\n"
        f"sys.path.remove({str(private)!r})\n"
        "assert json_codec.use_faster()\n"
        "json_codec.dumps(['x' * 200_000])\n"
        "import orjson\n"
        "print(orjson.NAME, json_codec._Faster.codec.library.loads('[1]'))\n",
        theirs,
    )
    assert printed == "of the action [1]\n"


@pytest.mark.parametrize(
    "source",
    [
        "raise ImportError('not for this machine')\n",
        "__version__ = '3.9.1'\n",
        "__version__ = 'x'\n",
        "",
    ],
    ids=["broken", "old", "strange", "another"],
)
def test_a_library_that_cannot_be_used_is_as_none(source: str, tmp_path: Path) -> None:
    (tmp_path / "orjson.py").write_text(source)
    spec = PathFinder.find_spec("orjson", [str(tmp_path)])
    assert spec is not None
    before = dict(sys.modules)
    assert faster_json.import_library(spec) is None
    assert sys.modules == before


@pytest.fixture(scope="module")
def codec() -> FasterJson:
    assert SPEC is not None, "orjson is missing: ./run setup installs it"
    made = FasterJson(SPEC, nullcontext)
    made.dumps("x" * faster_json.WORTH_THE_IMPORT)
    assert made.library
    return made


@pytest.mark.parametrize(
    "value",
    [
        {"rows": ROWS},
        {"rows": [{"missing": None, "x": 0.5}] * 3000},
        [[0.00012345678901234567, -1.7976931348623157e308, 1e-300]] * 2000,
        [[10**17, -(10**17), 0]] * 2000,
        {"text": "x" * 10_000, "rate": 0.5, "none": None},
        [["null"]] * 3000,
    ],
    ids=["rows", "none", "floats", "integers", "text", "the word null"],
)
def test_ordinary_values_have_a_proof(codec: FasterJson, value: object) -> None:
    assert codec.loads(json.dumps(value).encode()) == value
    text = codec.dumps(value)
    assert text is not None
    assert json.loads(text) == value


@pytest.mark.parametrize(
    "value",
    [
        [[1.5, float("nan")]] * 3000,
        [[1.5, "null"]] * 3000,
        [[1.5, 2**64]] * 3000,
        [[uuid.UUID(int=1)]] * 3000,
        ({"a": 1},) * 3000 + (OrderedDict(a=1),),
    ],
    ids=["nan", "the word null beside a float", "large", "uuid", "subclass"],
)
def test_other_values_have_none(codec: FasterJson, value: object) -> None:
    assert codec.dumps(value) is None


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.integers()
        | st.integers(10**17, 10**24)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.builds("{}.{}".format, st.integers(), st.text("0123456789", min_size=1, max_size=45)),
        max_size=12,
    ),
    st.integers(20, 70),
)
def test_no_integer_beyond_64_bits_is_overlooked(numbers: list[object], piece: int) -> None:
    document = f"[{','.join(map(str, numbers))}]".encode()
    beyond = [
        number
        for number in json.loads(document)
        if type(number) is int and not -(2**63) <= number < 2**64
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faster_json, "_PIECE", piece)
        found = faster_json.has_long_integer(document)
    assert found or not beyond
    assert faster_json.has_long_integer(document) or not beyond


def test_a_long_fraction_is_no_long_integer() -> None:
    for piece in (f"0.{'1' * 25}", f"-12.{'0' * 37}"):
        for before in range(faster_json._PIECE - 50, faster_json._PIECE + 10):
            document = b"[" + b" " * before + piece.encode() + b"]"
            assert not faster_json.has_long_integer(document), before


@pytest.mark.parametrize("depth", [0, 1, 30, 33, 500])
def test_a_deep_value_is_seen(depth: int) -> None:
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        value = json.loads("[[1],{}," + opening * depth + "1" + closing * depth + "]")
        assert faster_json.is_deep(value) == (depth > faster_json.MOST_DEPTH)


def test_the_size_of_a_value_is_estimated_from_a_few_nodes() -> None:
    for value in ({"rows": ROWS}, [[[0] * 20] * 20] * 20, ["x"] * 40 + ["x" * 8192], "x" * 8192):
        assert faster_json.estimated_size(value) >= faster_json.WORTH_WHILE
    for value in ({}, [], 1, None, {"text": "x" * 100}, [[[0] * 5] * 5] * 5, 2**100_000):
        assert faster_json.estimated_size(value) < faster_json.WORTH_WHILE
