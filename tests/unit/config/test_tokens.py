"""What a token may look like."""

from __future__ import annotations

import pytest

from hotwhisk.config.tokens import parse_token
from hotwhisk.errors import UsageError


@pytest.mark.parametrize("content", ["", " \n", "two words", "ümlaut"])
def test_a_token_is_one_word_of_ascii(content: str) -> None:
    with pytest.raises(UsageError, match=r"^t: expected one line with a token"):
        parse_token(content, "t")


def test_a_token_is_stripped() -> None:
    assert parse_token("abc\n", "t") == "abc"
