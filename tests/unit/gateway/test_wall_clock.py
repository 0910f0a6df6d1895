"""Clocks that run, and jump."""

from __future__ import annotations

import pytest

from hotwhisk.gateway.wall_clock import WAIT, WallClock

YEAR = 365 * 86_400.0


class Clocks:
    """A time of day and a steady clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.steady = 5.0
        self.clock = WallClock(lambda: self.now, lambda: self.steady)

    def run(self, seconds: float) -> None:
        self.now += seconds
        self.steady += seconds


def test_a_clock_that_runs_is_trusted() -> None:
    clocks = Clocks()
    for _ in range(5):
        clocks.run(100_000)
        clocks.now += 0.5  # it is set by a time server
        assert not clocks.clock.jumped()
        assert clocks.clock.is_trusted


@pytest.mark.parametrize("jump", [YEAR, -YEAR])
def test_a_jump_is_told_once_and_the_clock_is_not_trusted_for_a_while(jump: float) -> None:
    clocks = Clocks()
    clocks.now += jump
    clocks.run(10)
    assert clocks.clock.jumped() == pytest.approx(jump)
    assert not clocks.clock.jumped()
    clocks.run(WAIT - 1)
    assert not clocks.clock.is_trusted
    clocks.run(1)
    assert clocks.clock.is_trusted


def test_a_clock_that_is_set_right_again_jumps_twice() -> None:
    clocks = Clocks()
    clocks.now += YEAR
    assert clocks.clock.jumped()
    clocks.run(WAIT - 1)
    clocks.now -= YEAR
    assert clocks.clock.jumped() == pytest.approx(-YEAR)
    clocks.run(2)
    assert not clocks.clock.is_trusted
