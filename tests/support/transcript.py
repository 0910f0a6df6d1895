"""
Read transcripts in the pages: commands and their output, for the tests that type them.

A transcript is a ``console`` block below a line that says where it is typed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.server import ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
TYPED = "<!-- transcript -->"
"""Typed on this machine, by tests/structure."""
IN_CONTAINER = "<!-- transcript with docker -->"
"""Typed with an engine and the image, by tests/image."""
WITH_DEV = "<!-- transcript with dev -->"
"""Typed beside the `hotwhisk dev` of its first line, by tests/gateway."""
WITH_BUILT_FILE = "<!-- transcript with the built file -->"
"""Typed where the first transcript of its page has built a file, by tests/structure."""
WITH_EMULATOR = "<!-- transcript with the emulator -->"
"""Typed with such a file and AWS Lambda's emulator, by tests/process."""
VARIES = (  # what differs from run to run, and its replacement
    (r"\d+(\.\d+)? m?s\b", "TIME"),
    (r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b", "DATE"),
    (r"sha256:[0-9a-f]+", "sha256:DIGEST"),
    (r"\b[0-9a-f]{12}…", "DIGEST…"),
    (r"(?m)^ *\d+ (?=\{)", "N "),  # uniq --count
    (r"\bpid \d+", "pid N"),
    (r"/home/mike/", ""),  # the folder in a page; the test's own is removed too
    (r"\(\d+ KB\)", "(N KB)"),
    (r"\b\d+ of \d+ requests", "N of N requests"),
)


@dataclass
class Transcript:
    """Commands, each with the lines that it prints."""

    page: Path
    line: int
    steps: list[tuple[str, list[str]]] = field(default_factory=list)


def transcripts(marker: str) -> Iterator[Transcript]:
    """Yield all transcripts below this line."""
    block = rf"^{re.escape(marker)}\n```console\n(.*?)^```"
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for each in re.finditer(block, text, re.DOTALL | re.MULTILINE):
            found = Transcript(page, text.count("\n", 0, each.start()) + 3)
            for line in each[1].splitlines():
                if line.startswith("$ "):
                    found.steps.append((line[2:], []))
                else:
                    found.steps[-1][1].append(line)
            yield found


def shown(text: str) -> list[str]:
    """Return the lines of an output without what differs from run to run."""
    for pattern, name in VARIES:
        text = re.sub(pattern, name, text)
    return [" ".join(line.split()) for line in text.strip().splitlines()]


def expect(printed: list[str], expected: list[str]) -> None:
    """Compare the lines; a line ``…`` matches any further lines."""
    if expected and expected[-1] == "…":
        expected = expected[:-1]
        printed = printed[: len(expected)]
    assert printed == expected
