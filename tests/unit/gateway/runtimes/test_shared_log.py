"""The log of a server whose runs overlap, read from real pipes."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from hotwhisk.gateway.runtimes.shared_log import ActivationLog, SharedLog
from hotwhisk.platform import SENTINEL, LogStream


class Pipes:
    """What a server would print to."""

    def __init__(self, most: int | None = None) -> None:
        (out, self._out), (err, self._err) = os.pipe(), os.pipe()
        self.stream = LogStream(out, err, most=most)

    def print(self, *lines: str) -> None:
        os.write(self._out, "".join(f"{line}\n" for line in lines).encode())

    def close(self) -> None:
        os.close(self._out)
        os.close(self._err)


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    made = Pipes()
    yield made
    made.close()


def lines(log: ActivationLog) -> list[str]:
    return [line.partition(": ")[2] for line in log.shown()]


def test_a_run_alone_has_its_own_lines(pipes: Pipes) -> None:
    shared = SharedLog()
    shared.follow(pipes.stream)
    pipes.print("before")
    with shared.reading(10) as log:
        pipes.print("mine", SENTINEL)
    pipes.print("after")
    assert lines(log) == ["mine"]
    assert not log.overlapped


def test_runs_that_overlap_have_the_lines_of_that_time(pipes: Pipes) -> None:
    shared = SharedLog()
    shared.follow(pipes.stream)
    with shared.reading(10) as first:
        pipes.print("one")
        with shared.reading(10) as second:
            pipes.print("two", SENTINEL)
        pipes.print("three", SENTINEL)
    assert lines(first) == ["one", "two", "three"]
    assert lines(second) == ["two"]
    assert first.overlapped
    assert second.overlapped


def test_a_log_has_a_limit(pipes: Pipes) -> None:
    shared = SharedLog()
    shared.follow(pipes.stream)
    line = "x" * 1000
    with shared.reading(1) as log:
        for _ in range(1200):
            pipes.print(line)
    assert lines(log)[0] == line
    assert lines(log)[-1].startswith("Logs were truncated")
    assert len(lines(log)) < 1100


def test_what_no_run_reads_in_time_is_dropped() -> None:
    pipes = Pipes(most=5000)
    shared = SharedLog()
    shared.follow(pipes.stream)
    with shared.reading(10) as log:
        for number in range(100):
            pipes.print(f"line {number}")
    assert lines(log)[0] == "line 0"
    assert lines(log)[-1].startswith("Logs were truncated")
    with shared.reading(10) as log:
        pipes.print("again")
    assert lines(log) == ["again"]
    pipes.close()


def test_a_server_that_was_started_again_is_followed(pipes: Pipes) -> None:
    other = Pipes()
    shared = SharedLog()
    shared.follow(other.stream)
    with shared.reading(10) as log:
        other.print("old")
        shared.follow(pipes.stream)
        pipes.print("new")
    other.close()
    assert lines(log) == ["old", "new"]
