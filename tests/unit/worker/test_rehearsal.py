"""The rehearsal of a run fails no load, and leaves nothing behind."""

from __future__ import annotations

import gc

import pytest

from hotwhisk.config.config import Config
from hotwhisk.ipc.scoreboard import Scoreboard
from hotwhisk.worker.connections import Connections
from hotwhisk.worker.rehearsal import rehearse
from tests.support.limits import descriptors_left

LOWEST = 3


def found(kind: type) -> int:
    """Return how many objects of a class there are."""
    gc.collect()
    return sum(type(each) is kind for each in gc.get_objects())


@pytest.mark.parametrize("left", range(16))
def test_a_lack_of_descriptors_is_no_error(left: int) -> None:
    with descriptors_left(left):
        rehearse(Config(), LOWEST)


def test_no_object_of_the_rehearsal_stays() -> None:
    before = found(Connections), found(Scoreboard)
    rehearse(Config(), LOWEST)
    assert (found(Connections), found(Scoreboard)) == before
