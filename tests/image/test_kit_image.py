"""Run the conformance kit on the image, in containers, as any user would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from .container import COMPAT, with_index

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

KIT = Path(__file__).resolve().parents[2] / "conformance" / "src"
CASES = {"python": 24, "actionloop": 15, "concurrency": 3}
"""How many cases apply, without those that install a package."""
INSTALLING = "v1 or v2 or v3"


def passed(image: str, folder: Path, *options: str) -> int:
    """Return how many cases passed, of which none failed."""
    report = folder / "junit.xml"
    command = [sys.executable, "-m", "hotwhisk_conformance", "--image", image]
    done = subprocess.run(
        [*command, "--junit", str(report), *options],
        env={**os.environ, "PYTHONPATH": str(KIT)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    cases = ET.parse(report).getroot().iter("testcase")
    return sum(case.find("skipped") is None for case in cases)


@pytest.mark.parametrize("profile", CASES)
def test_the_profile_passes_whole(image: str, profile: str, tmp_path: Path) -> None:
    options = ("--profile", profile, "--cases", f"not ({INSTALLING})")
    assert passed(image, tmp_path, *options) == CASES[profile]


def test_compat_passes_the_cases_for_python(tmp_path: Path) -> None:
    """
    It asks programs to say themselves that they are ready, as the official image does, so those
    of the profile actionloop are not for it.
    """
    assert passed(with_index(COMPAT), tmp_path, "--profile", "python") == CASES["python"] + 3


def test_what_the_image_compiled_is_served_by_it(image: str, tmp_path: Path) -> None:
    """A small package is installed in a container: it needs a network and an index."""
    assert passed(image, tmp_path, "--cases", INSTALLING) == 3
