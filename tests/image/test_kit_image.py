"""Run the conformance kit on the image, in containers, as any user would."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.conformance_kit import cases_passed

from .container import COMPAT, with_index

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CASES = {"python": 24, "actionloop": 15, "concurrency": 3}
"""How many cases apply, without those that install a package."""
INSTALLING = "v1 or v2 or v3"


@pytest.mark.parametrize("profile", CASES)
def test_the_profile_passes_whole(image: str, profile: str, tmp_path: Path) -> None:
    options = ("--profile", profile, "--cases", f"not ({INSTALLING})")
    assert cases_passed(tmp_path, "--image", image, *options, timeout=580) == CASES[profile]


def test_compat_passes_the_cases_for_python(tmp_path: Path) -> None:
    """
    It asks programs to say themselves that they are ready, as the official image does, so those
    of the profile actionloop are not for it.
    """
    assert (
        cases_passed(tmp_path, "--image", with_index(COMPAT), "--profile", "python", timeout=580)
        == CASES["python"] + 3
    )


def test_what_the_image_compiled_is_served_by_it(image: str, tmp_path: Path) -> None:
    """A small package is installed in a container: it needs a network and an index."""
    assert cases_passed(tmp_path, "--image", image, "--cases", INSTALLING, timeout=580) == 3
