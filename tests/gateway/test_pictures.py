"""The pictures in docs/ exist, are small, are named, and can be taken again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.gateway.pictures import WIDTH, take
from tests.structure.source import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MOST_BYTES = 150_000


def check(picture: Path) -> None:
    """Demand a PNG of the right width that is not too large."""
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n"), picture
    assert int.from_bytes(content[16:20], "big") == WIDTH
    assert len(content) <= MOST_BYTES, f"{picture} has {len(content)} bytes"


def of_the_page() -> list[Path]:
    """Return the pictures that a browser takes; the others are drawn by the bench."""
    return list((ROOT / "docs" / "pictures").glob("*.png"))


def test_the_pages_name_the_pictures_that_there_are() -> None:
    pictures = {path.name for path in (ROOT / "docs" / "pictures").iterdir()}
    texts = [path.read_text(encoding="utf-8") for path in ROOT.glob("docs/*.md")]
    texts.append((ROOT / "README.md").read_text(encoding="utf-8"))
    named = {name for text in texts for name in re.findall(r"pictures/([\w-]+\.\w+)", text)}
    assert pictures == named
    for picture in of_the_page():
        check(picture)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_they_can_be_taken_again(browser: Browser, tmp_path: Path) -> None:
    take(browser, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in of_the_page()}
    for picture in tmp_path.iterdir():
        check(picture)
