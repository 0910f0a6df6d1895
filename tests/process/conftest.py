"""Servers for the tests of processes, and checks after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.limits import raise_files
from tests.support.server import Server


@pytest.fixture(scope="session", autouse=True)
def many_files() -> None:
    raise_files(16384)


@pytest.fixture
def server() -> Iterator[Server]:
    """Start a server that must end by itself on SIGTERM, with status 0 and nothing left."""
    with Server() as started:
        yield started
        started.end_well()
