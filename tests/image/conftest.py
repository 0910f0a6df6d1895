"""
The images that the tests build upon: the one under test, with this machine's package index.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.server import ROOT

from .container import COMPAT

INDEXED = "hotwhisk-test:indexed"


@pytest.fixture(scope="session", autouse=True)
def engine() -> None:
    done = subprocess.run(["docker", "image", "inspect", COMPAT], capture_output=True, check=False)
    if done.returncode:
        pytest.fail(f"{done.stderr.decode().strip()}: run these tests by ./run image-test")


@pytest.fixture(scope="session")
def indexed() -> str:
    """
    ``compat`` in a company that has a package index of its own.
    """
    command = [sys.executable, str(ROOT / "packaging" / "builder.py"), COMPAT, INDEXED]
    subprocess.run(command, check=True, capture_output=True)
    return INDEXED
