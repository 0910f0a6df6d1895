"""Fixtures for the tests of the supervisor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hotwhisk.config.config import Config
from tests.unit.supervisor.scripted import Scripted


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Callable[..., Scripted]]:
    """Return a function that makes a scripted supervisor with these settings."""
    made = []

    def make(**settings: object) -> Scripted:
        made.append(Scripted(Config(**settings), tmp_path))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        each.close()
