from __future__ import annotations

import pytest

from hotwhisk.gateway.store.versions import Conflict, new_version, next_version


def test_the_last_number_counts() -> None:
    assert next_version(None) == "0.0.1"
    assert next_version("0.0.9") == "0.0.10"
    assert next_version("2.1.0") == "2.1.1"


def test_a_client_may_choose_the_number() -> None:
    assert new_version("0.0.1", wanted="3.0.0", expected=None) == "3.0.0"


@pytest.mark.parametrize(
    ("current", "expected"), [("0.0.2", "0.0.1"), ("0.0.1", ""), (None, "0.0.1")]
)
def test_a_change_in_between_is_noticed(current: str | None, expected: str) -> None:
    with pytest.raises(Conflict):
        new_version(current, wanted=None, expected=expected)


@pytest.mark.parametrize(("current", "expected"), [("0.0.2", "0.0.2"), (None, ""), ("0.0.1", None)])
def test_what_is_expected_may_be_replaced(current: str | None, expected: str | None) -> None:
    assert new_version(current, wanted=None, expected=expected) == next_version(current)
