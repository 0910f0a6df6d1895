"""The examples work where they lie: in the clone, beside the configuration of this repository."""

from __future__ import annotations

import subprocess
import sys

from tests.structure.source import ROOT


def test_the_example_with_a_test_is_tested_as_its_page_says() -> None:
    page = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert "cd greeter && python -m pytest\n" in page
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
        cwd=ROOT / "examples" / "greeter", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
    assert f"rootdir: {ROOT / 'examples'}\n" in done.stdout


def test_no_page_or_message_asks_the_index_for_what_is_not_published() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "src").rglob("*.py")]
    for page in pages:
        assert "pip install 'hotwhisk" not in page.read_text(encoding="utf-8"), page
        assert "pip install hotwhisk" not in page.read_text(encoding="utf-8"), page
