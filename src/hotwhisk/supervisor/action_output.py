"""
Read what the actions print, and write it as lines of JSON, with a line for each activation.

Only under ``--log-format json``. The standard output streams of a worker are then two pipes, with
marks between the runs (see `hotwhisk.ipc.run_marks`). The supervisor reads them at each tick, after
a death and before a line of its own, so one process writes the whole log and knows the order. While
the server sleeps, output wakes it.

At each tick it does a limited amount of work for all workers together, so a flood of lines delays
no connection and no deadline. It serves them in turn; the rest waits in their pipes.

A worker never waits for the log: its pipes take some hundred kilobytes. What is beyond them waits
as for any slow reader: the action that prints more than the log's reader reads is slowed down. If
the reader stops, lines are dropped and counted.

An activation has exactly one line. Its worker writes a mark when the answer is sent. If the worker
dies before that, `ActionOutput.died` is told what answer the client got; the line says that, and
follows the rest of the worker's output.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from select import EPOLLOUT
from time import time

from hotwhisk.ipc.counters import AnswerKind
from hotwhisk.ipc.messages import ProtocolError
from hotwhisk.ipc.run_marks import EndedRun, Found, OutputLine, RunEnd
from hotwhisk.supervisor.json_lines import WritingProcess, activation_line, event_line, output_line
from hotwhisk.supervisor.log_events import LogEvent
from hotwhisk.supervisor.worker_pipes import (
    READ_SIZE,
    Death,
    RunOutcome,
    WorkerPipes,
    feed,
    read_pipe,
    work,
)
from hotwhisk.system.line_writer import MOST_WAITING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.supervisor.loop import EventLoop
    from hotwhisk.supervisor.process import Process
    from hotwhisk.system.line_writer import LineWriter

MOST_WORK = 1 << 20
"""Most `work` of one tick, for all workers together: some 2000 short lines."""

MUCH_WORK = 1 << 17
"""If a tick had so much work, the next one comes soon."""

LAST_WORK = 64 << 20
"""Most work for what a dead worker has left in its pipes."""

MOST_DEAD = 16
"""
If the pipes of more dead workers wait for their turns, one of them is read at once.

With ``--fresh`` each run leaves two pipes, so they could use up all descriptors.
"""

MOST_KEPT = 1 << 20
"""If more bytes of lines wait for the reader of the log, no pipe is read."""

Line = tuple[float, bytes]
"""A line of the log, and its time."""

NO_OUTCOME = RunOutcome(AnswerKind.DIED)
"""What is known of a run whose connection was closed before its worker died."""


class ActionOutput:
    """
    Reads what all workers of one server print, and writes it to the log.

    ``capacity`` is how many connections the server can have. ``origin`` describes the process of a
    worker, ``own`` that of the supervisor.
    """

    def __init__(
        self,
        writer: LineWriter,
        loop: EventLoop,
        capacity: int,
        origin: Callable[[Process], WritingProcess],
        own: Callable[[], WritingProcess],
        clock: Callable[[], float] = time,
    ) -> None:
        self._writer = writer
        self._loop = loop
        self._capacity = capacity
        self._origin = origin
        self._own = own
        self._clock = clock
        self._pipes: dict[Process, WorkerPipes] = {}
        self._is_watching = False
        self._left = MOST_WORK
        """How much work may be done until the next tick."""

    @property
    def urgent(self) -> bool:
        """Return whether the next tick should come soon, because much was printed."""
        return self._left <= MOST_WORK - MUCH_WORK

    @property
    def dropped(self) -> int:
        """Return how many bytes of lines were dropped."""
        _, length = self._writer.state.dropped
        return length

    # -- lines ------------------------------------------------------------------------------

    def log(self, text: str, event: LogEvent) -> None:
        """Write the line of an event, after what was printed before it, unless that is much."""
        self._drain_all()
        self._put_event(text, event)

    def tick(self) -> bool:
        """Write what was printed since the last tick; return whether more may follow soon."""
        self._left = MOST_WORK
        if self._writer.waiting:
            self._put([])
        self._drain_all()
        if lost := self._writer.take_lost():
            text = f"{lost} lines of the log were lost, because its reader did not read them"
            self._put_event(text, LogEvent.LOG_LOST)
        return bool(self._left < MOST_WORK or self._writer.waiting)

    def finish(self, cause: str) -> None:
        """Write what is left at the end of the server, with a line for each run that this ends."""
        for process, pipes in list(self._pipes.items()):
            if pipes.death is None:
                pipes.end(Death({}, self._origin(process).members(), cause))
            self._end(process)
        self._writer.finish()

    def _drain_all(self) -> None:
        """Write what was printed, as far as work is left; each worker has its turn."""
        for process in list(self._pipes):
            if self._left <= 0:
                return
            pipes = self._pipes[process] = self._pipes.pop(process)  # the last one in the next turn
            death = pipes.death
            origin = death.members if death is not None else self._origin(process).members()
            done, is_read = self._drain(pipes, origin, self._left)
            self._left -= done
            if death is not None:
                pipes.last_work += done
                if is_read or pipes.last_work > LAST_WORK:
                    self._end(process)

    def _drain(
        self, pipes: WorkerPipes, origin: str, most: int, most_kept: int = MOST_KEPT
    ) -> tuple[int, bool]:
        """
        Write what a worker has printed, up to ``most`` work; return the work, and if that was all.

        Nothing is read while more than ``most_kept`` bytes wait for the reader of the log.
        """
        done = 0
        enough = READ_SIZE if pipes.death is None else 1
        while done < most and self._writer.waiting <= most_kept:
            if pipes.err_data is None:
                pipes.err_data = read_pipe(pipes.err)
                done += work(pipes.err_data)
            data = read_pipe(pipes.out)
            done += work(data)
            now = self._clock()
            times = (pipes.read_at, now)
            lines = list(_lines(1, feed(pipes.out_stream, data), times, origin))
            is_over = len(data) < enough
            if is_over:  # all that was printed before the end of a run in stderr is there
                is_over = len(pipes.err_data) < enough
                lines += _lines(2, feed(pipes.err_stream, pipes.err_data), times, origin)
                pipes.err_data = None
            lines.sort(key=lambda line: line[0])  # lines of the same time stay in their order
            self._put(line for _, line in lines)
            if is_over:
                pipes.read_at = now
                return done, True
        return done, False

    def _put_event(self, text: str, event: LogEvent) -> None:
        self._put([event_line(self._clock(), event, text, self._own())])

    def _put(self, lines: Iterable[bytes]) -> None:
        self._writer.put(lines)
        descriptor = self._writer.descriptor
        if not self._writer.waiting:
            self._loop.unwatch(descriptor)
        elif descriptor not in self._loop:
            self._loop.watch(descriptor, self._go_on, EPOLLOUT)

    def _go_on(self) -> None:
        """Write more, because the reader has made room, and read what waits behind that."""
        self._put([])
        if self._writer.waiting <= MOST_KEPT:
            self._drain_all()

    # -- workers ----------------------------------------------------------------------------

    def open(self, process: Process, token: str, descriptors: list[int]) -> None:
        """
        Read the pipes of a worker from now on, by descriptors of its own.

        Raises:
            ProtocolError: these are no pipes, or the worker has sent others before.
        """
        if process in self._pipes:
            raise ProtocolError("a worker sends the pipes of its log once")
        mark = b"\0" + token.encode()
        self._pipes[process] = WorkerPipes(mark, self._capacity, descriptors, self._clock())

    def died(self, process: Process, death: Death) -> None:
        """
        Write the rest of what a dead worker printed, then the lines of its unanswered runs.

        If that is much, the next ticks go on with it.
        """
        pipes = self._pipes.get(process)
        if pipes is not None:
            pipes.end(death)
            self._drain_all()
        dead = [each for each, pipes in self._pipes.items() if pipes.death is not None]
        for each in dead[MOST_DEAD:]:
            self._end(each)

    def _end(self, process: Process) -> None:
        """Write the last lines of a dead worker at once; log it if there are too many."""
        pipes = self._pipes.pop(process)
        assert pipes.death is not None
        death = pipes.death
        most = max(0, LAST_WORK - pipes.last_work)
        _, is_read = self._drain(pipes, death.members, most, MOST_WAITING)
        now = self._clock()
        lines = []
        for number, stream in ((1, pipes.out_stream), (2, pipes.err_stream)):
            rest = [each for each in stream.end() if isinstance(each, OutputLine)]
            lines += [output_line(now, number, each, death.members) for each in rest]
        for descriptor in pipes.descriptors:
            self._loop.unwatch(descriptor)
            os.close(descriptor)
        for number, ended in pipes.unanswered().items():
            answer = death.answers.get(number, NO_OUTCOME)
            if answer.is_own and ended.end is not None:
                lines.append(activation_line(now, ended, death.members))
                continue
            ms = 1000 * max(0.0, now - ended.run.at)
            end = RunEnd(number, answer.status, answer.kind, -1, ms, now)
            lines.append(activation_line(now, EndedRun(ended.run, end), death.members, death.cause))
        self._put(lines)
        if not is_read:
            text = f"the last lines of worker {process.pid} are lost"
            self._put_event(f"{text}: there were too many to read", LogEvent.LOG_LOST)

    # -- sleep ------------------------------------------------------------------------------

    def watch(self) -> None:
        """Wake the server when a worker prints while no tick comes."""
        self._is_watching = True
        for pipes in self._pipes.values():
            for descriptor in pipes.descriptors:
                self._loop.watch(descriptor, self.unwatch)

    def unwatch(self) -> None:
        """Stop waiting for output, because each tick reads it."""
        if self._is_watching:
            self._is_watching = False
            for pipes in self._pipes.values():
                for descriptor in pipes.descriptors:
                    self._loop.unwatch(descriptor)


def _lines(
    number: int, found: Iterable[Found], times: tuple[float, float], origin: str
) -> Iterator[Line]:
    """
    Yield the lines of the log for what was found in a stream.

    ``times`` are those of the read before, and of this one. A line of a run was printed after the
    first of them, and after the run began.
    """
    before, now = times
    for each in found:
        if isinstance(each, OutputLine):
            at = now if each.run is None else min(max(each.run.at, before), now)
            yield at, output_line(at, number, each, origin)
        else:
            at = min(each.end.at, now) if each.end is not None else now
            yield at, activation_line(at, each, origin)
