"""How large code is for the platform."""

from __future__ import annotations

import base64

import pytest

from hotwhisk.sizes import code_size


@pytest.mark.parametrize("count", [0, 1, 2, 3, 1000])
def test_an_archive_counts_as_its_base64(count: int) -> None:
    content = bytes(count)
    posted = base64.b64encode(content).decode()
    assert code_size(content) == code_size(posted) == len(posted)


@pytest.mark.parametrize(("text", "size"), [("", 0), ("x = 1\n", 6), ("é", 2), ("\ud800", 1)])
def test_a_source_counts_in_bytes(text: str, size: int) -> None:
    assert code_size(text) == size
