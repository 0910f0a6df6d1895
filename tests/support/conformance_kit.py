"""The conformance kit, as its user runs it: its command, from its source."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

KIT = Path(__file__).resolve().parents[2] / "conformance"


def cases_passed(
    folder: Path, *options: str, timeout: float, variables: Mapping[str, str] | None = None
) -> int:
    """Return how many cases passed; fail if one of them failed."""
    report = folder / "junit.xml"
    command = [sys.executable, "-m", "hotwhisk_conformance", "--junit", str(report), *options]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(KIT / "src"), **(variables or {})},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    cases = ET.parse(report).getroot().iter("testcase")
    return sum(case.find("skipped") is None for case in cases)
