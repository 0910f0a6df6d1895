from __future__ import annotations

import pytest

from hotwhisk.gateway.api.errors import ApiError
from hotwhisk.gateway.api.limits import DEFAULTS, checked


def test_what_is_not_given_stays() -> None:
    assert checked(None, DEFAULTS) == DEFAULTS
    before = {**DEFAULTS, "memory": 512}
    assert checked({"timeout": 100, "logs": None}, before) == {**before, "timeout": 100}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ([], "Object expected"),
        ({"timeout": 99}, "duration 99 milliseconds below allowed threshold of 100 milliseconds"),
        ({"timeout": 300_001}, "duration 300001 milliseconds exceeds allowed threshold"),
        ({"memory": 127}, "memory 127 MB below allowed threshold of 128 MB"),
        ({"logs": 11}, "logs 11 MB exceeds allowed threshold of 10 MB"),
        ({"concurrency": 0}, "concurrency 0 below allowed threshold of 1"),
        ({"memory": "256"}, "memory limit must be whole number"),
        ({"memory": True}, "memory limit must be whole number"),
        ({"timeout": 1.5}, "duration limit must be whole number"),
    ],
)
def test_what_is_refused(given: object, text: str) -> None:
    with pytest.raises(ApiError) as raised:
        checked(given, DEFAULTS)
    assert raised.value.status == 400
    assert text in raised.value.text
