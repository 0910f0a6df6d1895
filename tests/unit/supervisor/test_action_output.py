"""What the actions print, on its way to the log: real pipes, and a log in a file."""

from __future__ import annotations

import gc
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hotwhisk.ipc.channel import Channel
from hotwhisk.ipc.counters import AnswerKind
from hotwhisk.ipc.messages import ProtocolError
from hotwhisk.ipc.run_marks import RunBegin
from hotwhisk.supervisor.action_output import MOST_DEAD, MOST_WORK, ActionOutput
from hotwhisk.supervisor.json_lines import WritingProcess
from hotwhisk.supervisor.log_events import LogEvent
from hotwhisk.supervisor.loop import EventLoop
from hotwhisk.supervisor.process import Process
from hotwhisk.supervisor.worker_pipes import LINE_WORK, READ_SIZE, Death, RunOutcome
from hotwhisk.system.line_writer import LineWriter
from hotwhisk.system.output import STATE_SIZE, StreamState

TOKEN = "ab" * 8
MOST_LINES = MOST_WORK // LINE_WORK + 2 * READ_SIZE
"""Most lines of one tick: the last read of each pipe may be all line breaks."""


class Worker:
    """A process that prints into two pipes, which the supervisor reads."""

    def __init__(self, pid: int) -> None:
        self._channel, self._end = Channel.pair()
        self.process = Process(pid, self._channel, 0.0)
        self.process.pid = pid
        (out, self.out), (err, self.err) = os.pipe(), os.pipe()
        self.read_ends = [out, err]
        os.set_blocking(self.out, False)

    def fill(self) -> int:
        """Print empty lines until the pipe is full; return how many."""
        return os.write(self.out, b"\n" * (1 << 20))

    def close(self) -> None:
        for each in (self.out, self.err, *self.read_ends):
            os.close(each)
        self._channel.close()
        self._end.close()


class Log:
    """The log of one server with some workers."""

    def __init__(self, path: Path) -> None:
        self._file, self._reader = path.open("wb"), path.open("rb")
        state = StreamState(memoryview(bytearray(STATE_SIZE)))
        self.output = ActionOutput(
            LineWriter(self._file.fileno(), state, 3),
            EventLoop(),
            8,
            lambda process: WritingProcess(1, "", process.pid),
            lambda: WritingProcess(1, "", 1),
        )
        self.workers: list[Worker] = []

    def worker(self) -> Worker:
        made = Worker(100 + len(self.workers))
        self.workers.append(made)
        self.output.open(made.process, TOKEN, made.read_ends)
        return made

    def new(self) -> list[dict[str, Any]]:
        """Return the lines since the last call."""
        return [json.loads(line) for line in self._reader.read().splitlines()]

    def close(self) -> None:
        self.output.finish("the test is over")
        for each in self.workers:
            each.close()
        self._file.close()
        self._reader.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    made = Log(tmp_path / "log")
    yield made
    made.close()


@pytest.mark.slow
def test_a_flood_of_lines_is_written_a_limited_number_at_a_tick(log: Log) -> None:
    worker = log.worker()
    printed, found = worker.fill(), 0
    while found < printed:
        log.output.tick()
        for number in range(9):
            log.output.log(f"event {number}", LogEvent.CURRENT)
        events = Counter(each["event"] for each in log.new())
        assert events["current"] == 9
        assert 0 < events["output"] <= MOST_LINES
        assert log.output.urgent
        found += events["output"]
    assert found == printed


def test_a_worker_that_floods_the_log_takes_no_turn_of_another(log: Log) -> None:
    flooding, other = log.worker(), log.worker()
    flooding.fill()
    os.write(other.err, b"one\n")
    log.output.tick()
    log.output.tick()
    assert [each["message"] for each in log.new() if each["pid"] == 101] == ["one"]


@pytest.mark.slow
def test_the_rest_of_a_dead_worker_waits_for_the_next_ticks(log: Log) -> None:
    worker = log.worker()
    run = RunBegin(3, "a", "", 1.0)
    os.write(worker.err, run.mark(b"\0" + TOKEN.encode()))
    printed = worker.fill()
    log.output.died(
        worker.process, Death({3: RunOutcome(AnswerKind.DIED, 502)}, '"pid":7', "signal 9")
    )
    assert 0 < len(log.new()) <= MOST_LINES
    while log.output.tick():
        pass
    *lines, ended = log.new()
    assert len(lines) >= printed - MOST_LINES
    assert (ended["event"], ended["kind"], ended["status"]) == ("activation", "died", 502)
    assert {each["pid"] for each in (*lines, ended)} == {7}


def test_the_last_lines_of_a_worker_follow_those_that_were_read_before(log: Log) -> None:
    worker = log.worker()
    os.write(worker.out, b"\n" * 2 * READ_SIZE)
    log.output.tick()  # stderr was empty when it was read; stdout is not read to its end
    os.write(worker.err, b"last")
    log.output.died(worker.process, Death({}, '"pid":7', "signal 9"))
    while log.output.tick():
        pass
    *_, found = log.new()
    assert (found["stream"], found["message"]) == ("stderr", "last")


def test_the_pipes_of_few_dead_workers_wait(log: Log) -> None:
    gc.collect()  # else it might close descriptors of other tests, which are counted here
    made = [log.worker() for _ in range(MOST_DEAD + 2)]
    before = len(os.listdir("/proc/self/fd"))
    os.write(made[0].out, b"\n" * 2 * READ_SIZE)  # more than is read at a tick
    for each in made:
        os.write(each.err, b"x")
        log.output.died(each.process, Death({}, f'"pid":{each.process.pid}', "signal 9"))
    assert len(os.listdir("/proc/self/fd")) <= before - 2 * 2
    log.output.finish("the server ended")
    found = Counter(each["message"] for each in log.new())
    assert found == {"": 2 * READ_SIZE, "x": len(made)}
    assert len(os.listdir("/proc/self/fd")) == before - 2 * len(made)


@pytest.mark.slow
def test_lines_that_are_left_at_the_end_of_the_server_are_written(log: Log) -> None:
    printed = log.worker().fill()
    log.output.finish("the server ended")
    assert len(log.new()) == printed


def test_a_pipe_that_the_action_makes_blocking_stops_no_tick(log: Log) -> None:
    worker = log.worker()
    for each in worker.read_ends:
        os.set_blocking(each, True)
    log.output.tick()
    os.write(worker.out, b"x\n")
    log.output.tick()
    assert [each["message"] for each in log.new()] == ["x"]


def test_pipes_that_cannot_be_read_are_refused(log: Log) -> None:
    worker = Worker(99)
    log.workers.append(worker)
    for wrong in ("/proc/self/fd", "/dev/null"):
        other = os.open(wrong, os.O_RDONLY)
        with pytest.raises(ProtocolError, match="the pipes of its log cannot be read"):
            log.output.open(worker.process, TOKEN, [worker.read_ends[0], other])
        os.close(other)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ProtocolError):
        log.output.open(worker.process, TOKEN, [worker.read_ends[0], 9999])
    assert len(os.listdir("/proc/self/fd")) == before
    log.output.open(worker.process, TOKEN, worker.read_ends)
    with pytest.raises(ProtocolError, match="once"):
        log.output.open(worker.process, TOKEN, worker.read_ends)
