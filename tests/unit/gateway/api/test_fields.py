from __future__ import annotations

import pytest

from hotwhisk.gateway.api import fields
from hotwhisk.gateway.api.errors import ApiError


def test_each_key_is_kept_once() -> None:
    given = [{"key": "a", "value": 1}, {"key": "b", "init": True, "value": 2}, {"key": "a", "x": 0}]
    assert fields.entries({"parameters": given}, "parameters") == [
        {"key": "a", "value": None},
        {"key": "b", "value": 2, "init": True},
    ]
    assert fields.entries({}, "parameters") is None
    assert fields.entries({"parameters": None}, "parameters") is None


def test_entries_are_merged_by_their_keys() -> None:
    old = [{"key": "a", "value": 1}, {"key": "b", "value": 2}]
    assert fields.merged(old, [{"key": "a", "value": 3}]) == [
        {"key": "a", "value": 3},
        {"key": "b", "value": 2},
    ]
    assert fields.merged(old, None) == old
    assert fields.without(old, "a", "c") == [{"key": "b", "value": 2}]


@pytest.mark.parametrize("given", ["x", {"a": 1}, [1], [{"value": 1}], [{"key": ""}], [{"key": 1}]])
def test_what_is_no_list_of_entries(given: object) -> None:
    with pytest.raises(ApiError) as raised:
        fields.entries({"annotations": given}, "annotations")
    assert raised.value.status == 400


def test_entries_over_a_megabyte_are_refused() -> None:
    given = [{"key": "a", "value": "é" * (1 << 19)}]
    with pytest.raises(ApiError) as raised:
        fields.entries({"parameters": given}, "parameters")
    assert raised.value.status == 413


def test_publish_and_version() -> None:
    assert fields.publish({}, {}) is False
    assert fields.publish({}, {"publish": True}) is True
    assert fields.publish({"publish": False}, {"publish": True}) is False
    assert fields.version({"version": "1.2.3"}) == "1.2.3"
    assert fields.version({}) is None
    for wrong in (
        {"version": "1.2"},
        {"version": 1},
        {"version": "1.2.x"},
        {"version": "1.2." + "3" * 5000},
    ):
        with pytest.raises(ApiError):
            fields.version(wrong)
