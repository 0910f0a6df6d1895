"""The image for tests that could use any, and the reason if there is none."""

from __future__ import annotations

import subprocess

import pytest

from .container import COMPAT, PRELOAD, SLIM, with_index


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    for image in (SLIM, COMPAT, PRELOAD):
        command = ["docker", "image", "inspect", image]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.fail(f"{done.stderr.strip()}: these tests are run by ./run image-test")


@pytest.fixture(scope="session")
def image(built: None) -> str:
    """``slim``; what it compiles may install packages."""
    return with_index(SLIM)
