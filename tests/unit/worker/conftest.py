"""What the tests of the worker have in common."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import pytest

from hotwhisk.config.config import Config
from tests.unit.worker.supervised import Supervised, streams_kept


@pytest.fixture
def supervise(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Supervised]]:
    """Make a worker, with what is set of its configuration."""
    made: list[Supervised] = []
    monkeypatch.setattr("warnings.showwarning", warnings.showwarning)  # a worker sets its own

    def make(**settings: object) -> Supervised:
        made.append(Supervised(Config(**settings)))
        return made[-1]

    with streams_kept():
        yield make
        for each in made:
            each.close()


@pytest.fixture
def supervised(supervise: Callable[..., Supervised]) -> Supervised:
    """Make a worker of the plain profile that answers with its event."""
    made = supervise()
    made.serve(lambda event: event)
    return made
