"""
The conformance kit passes against ``hotwhisk serve --openwhisk``.

The kit is a distribution of its own and knows nothing of hotwhisk; here it is run from its
source, as its command, and every case that applies has to pass. The precompiled ones install a
small package, so they need a package index.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVER = f"{sys.executable} -m hotwhisk serve --openwhisk --port {{port}}"
COMPILE = f"{sys.executable} -m hotwhisk -compile {{main}}"
CASES = {"python": 27, "actionloop": 15, "concurrency": 3}
"""How many cases of each profile apply to this server, so that none is lost in silence."""


@pytest.mark.slow
@pytest.mark.parametrize("profile", CASES)
def test_the_profile_passes_whole(profile: str, tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    done = subprocess.run(
        [
            sys.executable, "-m", "hotwhisk_conformance", "--command", SERVER,
            "--compile-command", COMPILE, "--profile", profile, "--junit", str(report),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT / "conformance" / "src")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    cases = ET.parse(report).getroot().iter("testcase")
    passed = [case for case in cases if case.find("skipped") is None]
    assert len(passed) >= CASES[profile], done.stdout[-4000:]
