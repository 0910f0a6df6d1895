"""Only what can be sent on as JSON is read as JSON."""

from __future__ import annotations

import pytest

from hotwhisk.mcp.strict_json import json_value


@pytest.mark.parametrize(
    ("text", "value"), [('{"a": [2.5, null, "é"]}', {"a": [2.5, None, "é"]}), (b"1e300", 1e300)]
)
def test_json_is_read(text: str | bytes, value: object) -> None:
    assert json_value(text) == value


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "-Infinity", "1e400", "-1e999", "{", ""])
def test_what_cannot_be_sent_on_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"JSON|too large|Expecting"):
        json_value(text)
