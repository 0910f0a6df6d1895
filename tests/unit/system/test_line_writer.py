"""Lines that wait for a slow reader, and lines that are dropped."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from hotwhisk.system.line_writer import MOST_WAITING, LineWriter
from hotwhisk.system.output import STATE_SIZE, StreamState
from tests.support import sinks
from tests.support.sinks import Sink


class Clock:
    """Seconds, as the test says."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=sinks.UNREAD)
def sink(request: pytest.FixtureRequest) -> Iterator[Sink]:
    with sinks.UNREAD[request.param]() as made:
        yield made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def writer(sink: Sink, clock: Clock) -> Iterator[LineWriter]:
    state = StreamState(memoryview(bytearray(STATE_SIZE)))
    made = LineWriter(sink.writing, state, 3, clock)
    yield made
    made.close()


def numbered(count: int, length: int = 100) -> list[bytes]:
    return [b"%0*d\n" % (length, number) for number in range(count)]


def test_lines_wait_until_the_reader_makes_room(writer: LineWriter, sink: Sink) -> None:
    lines = numbered(20_000)
    writer.put(lines)
    assert writer.waiting
    while writer.waiting:
        sink.read(65536)
        writer.flush()
    assert sink.read() == b"".join(lines)
    assert writer.take_lost() == 0


def test_a_reader_that_stops_costs_lines_and_no_memory(
    writer: LineWriter, sink: Sink, clock: Clock
) -> None:
    lines = numbered(200_000)
    writer.put(lines)
    assert writer.waiting <= MOST_WAITING + 101
    clock.now = 0.4
    writer.put([])
    assert writer.waiting > MOST_WAITING // 2
    clock.now = 0.6
    writer.put([])
    assert writer.waiting < 200
    writer.put(lines[:10])
    assert writer.waiting < 200, "after a failure no line is kept until there is room"
    assert writer.take_lost() == 0
    taken = sink.read()
    writer.put([b"again\n"])
    taken = sink.read()
    assert taken.endswith(b"\nagain\n")
    whole = taken.splitlines(keepends=True)[:-1]
    assert whole == lines[: len(whole)]
    lost = writer.take_lost()
    assert lost == len(lines) + 10 - len(whole)
    assert writer.state.dropped == (0, 101 * lost)
    assert writer.take_lost() == 0


def test_lines_longer_than_a_write_arrive(writer: LineWriter, sink: Sink) -> None:
    lines = numbered(30, 30_000)
    writer.put(lines)
    while writer.waiting:
        sink.read(5000)
        writer.flush()
    assert sink.read() == b"".join(lines)


def test_without_a_reader_lines_are_dropped() -> None:
    reading, writing = os.pipe()
    writer = LineWriter(writing, StreamState(memoryview(bytearray(STATE_SIZE))), 3)
    os.close(reading)
    writer.put(numbered(10))
    writer.finish()
    assert (writer.waiting, writer.take_lost()) == (0, 10)
    writer.close()
    os.close(writing)


def test_the_end_waits_for_a_slow_reader_only(writer: LineWriter, sink: Sink) -> None:
    writer.put(numbered(5000))
    writer.finish()
    assert writer.waiting
    assert sink.read().startswith(numbered(1)[0])
