"""Type what docs/dev.md shows, and compare what is printed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.gateway.dev import DevProcess
from tests.support.server import ROOT
from tests.support.transcript import WITH_DEV, Transcript, transcripts


def pattern(line: str, folder: Path) -> str:
    """Return a pattern for a line in which times and activation ids may differ."""
    text = re.escape(line.replace("/home/mike", str(folder)))
    text = text.replace("127\\.0\\.0\\.1:3233", r"127\.0\.0\.1:\d+").replace("FOLDER", r"\S+")
    return re.sub(r"\d+\\ ms", r"\\d+ ms", re.sub(r"[0-9a-f]{32}", "[0-9a-f]{32}", text))


@pytest.mark.slow
@pytest.mark.parametrize("transcript", list(transcripts(WITH_DEV)), ids=lambda each: each.page.name)
def test_the_walk_through_is_what_happens(transcript: Transcript, tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "hello.py", tmp_path)
    (command, banner), *steps = transcript.steps
    words = command.removesuffix(" &").split()
    assert words[:2] == ["hotwhisk", "dev"]
    with DevProcess(tmp_path / words[2], *words[3:]) as dev:
        for line in banner:
            dev.wait(pattern(line, tmp_path))
        for command, lines in steps:
            done = subprocess.run(
                ["bash", "-c", command.replace("3233", str(dev.port))],
                cwd=tmp_path, capture_output=True, text=True, check=True,
            )  # fmt: skip
            printed = done.stdout.splitlines()
            assert lines[: len(printed)] == printed
            for line in lines[len(printed) :]:
                dev.wait(pattern(line, tmp_path))
