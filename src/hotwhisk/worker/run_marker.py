"""
Lead the output of a worker into two pipes, and mark there where runs begin and end.

Only under ``--log-format json``; see `hotwhisk.ipc.run_marks`. The pipes take the place of the
standard output streams, so they get all that the action prints, by whatever way. The supervisor
gets their other ends, and keeps reading, so no write waits for long.
"""

from __future__ import annotations

from fcntl import F_DUPFD_CLOEXEC, F_SETPIPE_SZ, fcntl
from os import O_CLOEXEC, O_NONBLOCK, O_WRONLY, close, dup2, fstat, pipe2, urandom, write
from os import open as open_file
from select import POLLOUT, poll
from time import monotonic, time

from hotwhisk.ipc.counters import AnswerKind
from hotwhisk.ipc.messages import LogOpened
from hotwhisk.ipc.run_marks import RunBegin, RunEnd, RunSent
from hotwhisk.system.output import STREAMS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from hotwhisk.http1.trace_context import TraceContext
    from hotwhisk.ipc.channel import Channel
    from hotwhisk.worker.own_process import Streams

WANTED_SIZE = 1 << 20
"""Bytes that a pipe should take; the system may allow less."""


class RunMarker:
    """Marks the runs of one worker. It is made before anything else uses the standard streams."""

    def __init__(self, channel: Channel, lowest: int) -> None:
        self._lowest = lowest
        self._ends: dict[int, int] = {}
        """Our own descriptors of the pipes, by stream."""
        self._begun: dict[int, float] = {}
        """When each open run began, by connection."""
        for number, end in self._open(channel).items():
            dup2(end, number)
            self._ends[number] = end

    def _open(self, channel: Channel) -> dict[int, int]:
        """Make the pipes, send the supervisor their other ends, and return ours."""
        token = urandom(8).hex()
        self._token = b"\0" + token.encode()
        self._prefix, self._count = urandom(8).hex(), 0
        made = [pipe2(O_CLOEXEC) for _ in STREAMS]
        channel.send(LogOpened(token), [reading for reading, _ in made])
        channel.flush_all()  # a queued message would be lost with this process
        ends = {}
        for number, (reading, writing) in zip(STREAMS, made, strict=True):
            try:
                fcntl(writing, F_SETPIPE_SZ, WANTED_SIZE)
            except OSError:  # the user's limit for pipes is reached
                pass
            ends[number] = fcntl(writing, F_DUPFD_CLOEXEC, self._lowest)
            close(reading)
            close(writing)
        return ends

    def descriptors(self) -> set[int]:
        """Return all descriptors of this object."""
        return set(self._ends.values())

    def open_again(self, channel: Channel, streams: Streams) -> None:
        """Open pipes of its own for a worker that a template has forked."""
        for number, end in self._open(channel).items():
            own, kept, output = self._ends[number], streams.kept[number], streams.outputs[number]
            if _is_same(number, own):  # else the action has pointed its stream elsewhere
                dup2(end, number)
            if output.descriptor != kept:
                again = open_file(f"/proc/self/fd/{end}", O_WRONLY | O_NONBLOCK | O_CLOEXEC)
                dup2(again, output.descriptor, inheritable=False)
                close(again)
            for each in (kept, own):
                dup2(end, each, inheritable=False)
            close(end)

    def begin(self, number: int, context: Mapping[str, str], trace: TraceContext | None) -> None:
        """Mark the beginning of a run on a connection."""
        self._count += 1
        name = context.get("activation_id") or f"{self._prefix}{self._count:016x}"
        self._begun[number] = monotonic()
        mark = RunBegin(number, name, trace.trace_id if trace is not None else "", time())
        self._write(mark.mark(self._token), STREAMS)

    def end(self, number: int, status: int, length: int, *, failed: bool) -> None:
        """Mark the end of a run, before its answer of ``length`` bytes is sent."""
        begun = self._begun.get(number)
        if begun is not None:
            ms = 1000 * (monotonic() - begun)
            kind = AnswerKind.ERROR if failed else AnswerKind.OK
            mark = RunEnd(number, status, kind, length, ms, time())
            self._write(mark.mark(self._token), STREAMS)

    def sent(self, number: int) -> None:
        """Mark that the answer of a run is sent."""
        if self._begun.pop(number, None) is not None:
            self._write(RunSent(number).mark(self._token), (2,))

    def _write(self, mark: bytes, streams: tuple[int, ...]) -> None:
        """Write a mark, which a pipe takes whole or not at all."""
        for number in streams:
            try:
                try:
                    write(self._ends[number], mark)
                except BlockingIOError:  # a child of the action has changed the pipe
                    room = poll()
                    room.register(self._ends[number], POLLOUT)
                    room.poll()
                    write(self._ends[number], mark)
            except OSError:  # the action has closed what is not its own
                pass


def _is_same(descriptor: int, other: int) -> bool:
    """Return whether two descriptors lead to the same pipe."""
    try:
        found, wanted = fstat(descriptor), fstat(other)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino)
