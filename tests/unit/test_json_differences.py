"""Where two JSON values differ. `tests.unit.cli.test_cli_compare` has more, by the command."""

from __future__ import annotations

import json
import re
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotwhisk.json_differences import LONGEST, ChangedPlace, changed_places, cut, without

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False)
    | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=30)
@given(JSON, JSON)
def test_places_are_found_exactly_if_the_texts_differ(old: object, new: object) -> None:
    same = json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)
    assert (not list(changed_places(old, new, "result"))) is same


@settings(max_examples=30)
@given(JSON)
def test_what_is_ignored_everywhere_never_differs(value: object) -> None:
    everything = [re.compile("(?s).*")]
    assert not list(changed_places(without(value, everything), without(value, everything), ""))
    assert without(value, ()) is value


def test_a_place_has_its_path_and_both_texts() -> None:
    old, new = {"a": [{"b c": 1}]}, {"a": [{"b c": "1"}]}
    assert list(changed_places(old, new, "result")) == [
        ChangedPlace('result.a[0]["b c"]', "1", '"1"')
    ]


def test_a_value_that_is_too_deep_is_told_by_the_caller() -> None:
    before, now = "before", "now"
    for _ in range(100_000):
        before, now = [before], [now]  # type: ignore[assignment]
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)  # another test may have left a higher one
    try:
        with pytest.raises(RecursionError):
            list(changed_places(before, now, ""))
    finally:
        sys.setrecursionlimit(limit)


def test_a_long_text_is_cut() -> None:
    assert len(cut("x" * 1000)) == LONGEST + 1
    assert cut("x" * LONGEST) == "x" * LONGEST
