"""The tests on the page for users, docs/testing-actions.md, pass."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.structure.source import ROOT

CLOCK = """\
def now():
    return "morning"

def main(event, context):
    return {"id": context.activation_id, "at": now()}
"""
WEATHER = """\
import os

def main(event):
    assert os.environ["TOKEN"] == "t" and event["units"] == "metric"
    raise ValueError("there is no such city")
"""


@pytest.mark.slow
def test_the_examples_of_the_page_pass(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "testing-actions.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    for number, block in enumerate(blocks):
        (tmp_path / f"test_{number}.py").write_text(block, encoding="utf-8")
    for name in ("hello.py", "ciao.py"):
        shutil.copy(ROOT / "examples" / name, tmp_path)
    (tmp_path / "clock.py").write_text(CLOCK)
    (tmp_path / "weather.py").write_text(WEATHER)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    tests = sum(block.count("def test_") for block in blocks)
    assert f" {tests} passed" in done.stdout, done.stdout
