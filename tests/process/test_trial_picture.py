"""The picture of a trial shows what the command writes."""

from __future__ import annotations

import re
from html import unescape

import pytest

from tests.process.trial_picture import TITLE, take
from tests.structure.source import ROOT
from tests.support.terminal_picture import draw

pytestmark = pytest.mark.slow

PICTURE = ROOT / "docs" / "pictures" / "trial.svg"


VARIES = re.compile(r'"[^"]*"|sha256:\w+|none differs|\d+ differs?|\d+(\.\d+)? (ms|s)\b|\d+')


def form(picture: str) -> set[str]:
    """Return the lines in a picture, without what differs each time: numbers and names."""
    lines = re.findall(r"<text [^>]*>(.*?)</text>", picture)
    return {VARIES.sub("_", unescape(each)) for each in lines}


def test_the_picture_is_that_of_the_command() -> None:
    lines = take()
    assert form(draw(lines, TITLE)) == form(PICTURE.read_text()), (
        "take it again: python -m tests.process.trial_picture docs/pictures/trial.svg"
    )
    assert any(each.kind == "progress" for each in lines)
