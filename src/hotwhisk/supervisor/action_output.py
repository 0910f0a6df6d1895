"""
Read what the actions print, and write it as lines of JSON, with a line for each activation.

Only under ``--log-format json``. The standard output streams of a worker are then two pipes, with
marks between the runs (see `hotwhisk.ipc.run_marks`). The supervisor reads them at each tick, after
a death and before a line of its own, so one process writes the whole log and knows the order. While
the server sleeps, output wakes it.

A worker never waits for the log: its pipes take some hundred kilobytes. What is beyond them waits
as for any slow reader: the action that prints more than the log's reader reads is slowed down. If
the reader stops, lines are dropped and counted.

An activation has exactly one line. Its worker writes a mark when the answer is sent. If it dies
before that, the line is written by `ActionOutput.died`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from select import EPOLLOUT
from time import time

from hotwhisk.ipc.counters import AnswerKind
from hotwhisk.ipc.messages import ProtocolError
from hotwhisk.ipc.run_marks import EndedRun, Found, OutputLine, RunEnd
from hotwhisk.record import Record
from hotwhisk.supervisor.json_lines import WritingProcess, activation_line, event_line, output_line
from hotwhisk.supervisor.worker_pipes import (
    READ_SIZE,
    WorkerPipes,
    feed,
    is_pipe,
    open_again,
    read_pipe,
)
from hotwhisk.system.line_writer import MOST_WAITING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.supervisor.loop import EventLoop
    from hotwhisk.supervisor.process import Process
    from hotwhisk.system.line_writer import LineWriter

MOST_READ = 1 << 20
"""Most bytes that are read from a worker at one tick; about as much as a pipe takes."""

MANY_READ = 1 << 17
"""If so many bytes were read from a worker at a tick, the next tick comes soon."""

LAST_READS = 4
"""Most reads of `MOST_READ` bytes from a dead worker."""

MOST_KEPT = 1 << 20
"""If more bytes of lines wait for the reader of the log, no pipe is read."""

Line = tuple[float, bytes]
"""A line of the log, and its time."""


class RunOutcome(Record):
    """
    What the client of a dead worker's run got.

    ``is_own`` says that the worker has sent it all, if it had an answer. Otherwise ``status`` is
    that of the error in its place, 0 if there is none, and ``kind`` says what became of the run.
    """

    kind: AnswerKind
    status: int = 0
    is_own: bool = False


NO_OUTCOME = RunOutcome(AnswerKind.DIED)


class ActionOutput:
    """
    The output of all workers of one server, on its way to the log.

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
        self.urgent = False
        """Whether the next tick should come soon, because much was printed."""

    @property
    def dropped(self) -> int:
        """Return how many bytes of lines were dropped."""
        _, length = self._writer.state.dropped
        return length

    # -- lines ------------------------------------------------------------------------------

    def log(self, text: str, event: str) -> None:
        """Write the line of an event, after all that was printed before it."""
        self._drain_all()
        self._put([event_line(self._clock(), event, text, self._own())])

    def tick(self) -> bool:
        """Write what was printed since the last tick; return whether more may follow soon."""
        self.urgent = False
        if self._writer.waiting:
            self._put([])
        read = self._drain_all()
        if lost := self._writer.take_lost():
            text = f"{lost} lines of the log were lost, because its reader did not read them"
            self._put([event_line(self._clock(), "log-lost", text, self._own())])
        return bool(read or self._writer.waiting)

    def finish(self, cause: str) -> None:
        """Write all that is left at the end of the server, and the runs that ``cause`` ended."""
        for process in list(self._pipes):
            self.died(process, {}, self._origin(process), cause)
        self._writer.finish()

    def _drain_all(self) -> int:
        """Write what was printed; return how many bytes that was."""
        read = 0
        for process, pipes in self._pipes.items():
            length = self._drain(pipes, self._origin(process).members())
            self.urgent = self.urgent or length > MANY_READ
            read += length
        return read

    def _drain(self, pipes: WorkerPipes, origin: str, most_kept: int = MOST_KEPT) -> int:
        """
        Write what a worker has printed; return how many bytes that was.

        Nothing is read while more than ``most_kept`` bytes wait for the reader of the log.
        """
        read = 0
        while read < MOST_READ and self._writer.waiting <= most_kept:
            if pipes.err_data is None:
                pipes.err_data = read_pipe(pipes.err)
                read += len(pipes.err_data)
            data = read_pipe(pipes.out)
            read += len(data)
            now = self._clock()
            times = (pipes.read_at, now)
            lines = list(_lines(1, feed(pipes.out_stream, data), times, origin))
            is_over = len(data) < READ_SIZE
            if is_over:  # all that was printed before the end of a run in stderr is there
                is_over = len(pipes.err_data) < READ_SIZE
                lines += _lines(2, feed(pipes.err_stream, pipes.err_data), times, origin)
                pipes.err_data = None
            lines.sort(key=lambda line: line[0])  # lines of the same time stay in their order
            self._put(line for _, line in lines)
            if is_over:
                pipes.read_at = now
                break
        return read

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
        Read the pipes of a worker from now on. They are taken out of the list.

        Raises:
            ProtocolError: these are no pipes, or the worker has sent others before.
        """
        if process in self._pipes or not all(map(is_pipe, descriptors)):
            raise ProtocolError("the log of a worker is two pipes, which it sends once")
        mark = b"\0" + token.encode()
        self._pipes[process] = WorkerPipes(
            mark, self._capacity, map(open_again, descriptors), self._clock()
        )
        descriptors.clear()

    def died(
        self,
        process: Process,
        answers: Mapping[int, RunOutcome],
        origin: WritingProcess,
        cause: str,
    ) -> None:
        """
        Write the rest of what a dead worker printed, and the lines of its unanswered runs.

        ``answers`` says, by connection, what answer the client got instead.
        """
        pipes = self._pipes.pop(process, None)
        if pipes is None:
            return
        members = origin.members()
        self._drain_last(pipes, members)
        now = self._clock()
        lines = []
        for number, stream in ((1, pipes.out_stream), (2, pipes.err_stream)):
            rest = [each for each in stream.end() if isinstance(each, OutputLine)]
            lines += [output_line(now, number, each, members) for each in rest]
        for descriptor in pipes.descriptors:
            self._loop.unwatch(descriptor)
            os.close(descriptor)
        for number, ended in pipes.unanswered().items():
            answer = answers.get(number, NO_OUTCOME)
            if answer.is_own and ended.end is not None:
                lines.append(activation_line(now, ended, members))
                continue
            ms = 1000 * max(0.0, now - ended.run.at)
            end = RunEnd(number, answer.status, answer.kind, -1, ms, now)
            lines.append(activation_line(now, EndedRun(ended.run, end), members, cause))
        self._put(lines)

    def _drain_last(self, pipes: WorkerPipes, origin: str) -> None:
        """Write all that is in the pipes of a dead worker. Its children may still print."""
        for _ in range(LAST_READS):
            if not self._drain(pipes, origin, MOST_WAITING):
                return

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
