"""JSON that was sent is refused if it could not be sent back as JSON."""

from __future__ import annotations

import pytest

from hotwhisk.gateway.api.errors import ApiError
from hotwhisk.gateway.api.reading import any_json


@pytest.mark.parametrize(
    "text", ["NaN", "Infinity", '{"x": 1e999}', "[-1e400]", "{", "[" * 100_000]
)
def test_what_is_no_json_that_can_be_sent_back(text: str) -> None:
    with pytest.raises(ApiError) as raised:
        any_json(text.encode())
    assert raised.value.status == 400


def test_numbers_of_a_double_stay() -> None:
    assert any_json(b"[1e308, -0.5, 3]") == [1e308, -0.5, 3]
