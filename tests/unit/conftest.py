"""Fixtures for the tests of the supervisor."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hotwhisk.config.config import Config
from tests.support.phases import check_stores
from tests.unit.supervisor.scripted import Scripted


@pytest.fixture(autouse=True)
def checked_phases(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Check in each test of the worker and of the supervisor that connections
    change as they may.
    """
    if request.path.parent.name in ("worker", "supervisor") and "calls" not in request.path.name:
        check_stores(monkeypatch)


@pytest.fixture(autouse=True)
def kept_environment() -> Iterator[None]:
    """Undo changes of the environment: a run in this process sets variables of the action."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


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
