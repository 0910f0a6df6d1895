"""The two pipes with the output of a worker, as the supervisor reads them without a wait."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping

from hotwhisk.ipc.counters import AnswerKind
from hotwhisk.ipc.messages import ProtocolError
from hotwhisk.ipc.run_marks import EndedRun, Found, MarkedStream
from hotwhisk.record import Record

READ_SIZE = 4096
"""Most bytes that are read at once. Each may be a line of its own, of some 300 bytes in the log."""

LINE_WORK = 512
"""A line is as much work as so many bytes, beside its own."""


class RunOutcome(Record):
    """
    What the client of a dead worker's run got.

    ``is_own`` says that the worker has sent it all, if it had an answer. Otherwise ``status`` is
    that of the error in its place, 0 if there is none, and ``kind`` says what became of the run.
    """

    kind: AnswerKind
    status: int = 0
    is_own: bool = False


class Death(Record):
    """
    How a worker died, for its last lines.

    ``answers`` says, by connection, what answer the client of a run got. ``members`` are the fields
    of its lines that describe its process.
    """

    answers: Mapping[int, RunOutcome]
    members: str
    cause: str


class WorkerPipes:
    """The two pipes of a worker, and what was read of them."""

    def __init__(self, token: bytes, capacity: int, descriptors: Iterable[int], now: float) -> None:
        self.out, self.err = self.descriptors = open_again(descriptors)
        self.out_stream = MarkedStream(token, capacity, has_sent=False)
        self.err_stream = MarkedStream(token, capacity, has_sent=True)
        self.err_data: bytes | None = None
        """What was read of stderr, and waits until stdout is read up to that moment."""
        self.read_at = now
        """The time of the latest read."""
        self.death: Death | None = None
        """How the worker died; None while it lives."""
        self.last_work = 0
        """How much work its output was since then; see `work`."""

    def end(self, death: Death) -> None:
        """Remember that the worker is dead. What is in its pipes is to be read to the end."""
        self.death = death
        self.err_data = self.err_data or None  # there may be more since that read found nothing

    def unanswered(self) -> dict[int, EndedRun]:
        """Return the runs whose answers are not known to be sent, by connection."""
        stream = self.err_stream
        return {number: EndedRun(run) for number, run in stream.runs.items()} | stream.unsent


def read_pipe(descriptor: int) -> bytes:
    """Read what is in a pipe, up to `READ_SIZE` bytes; an error is as good as its end."""
    try:
        return os.read(descriptor, READ_SIZE)
    except OSError:
        return b""


def work(data: bytes) -> int:
    """Return how much work it is to write this output as JSON, in bytes of one long line."""
    return len(data) + LINE_WORK * data.count(b"\n")


def feed(stream: MarkedStream, data: bytes) -> list[Found]:
    """Return what new data of a stream contains. Without data, a line ends where no run is open."""
    if data:
        return stream.feed(data)
    return [] if stream.runs else stream.end()


def open_again(descriptors: Iterable[int]) -> tuple[int, int]:
    """
    Return non-blocking descriptors of the same two pipes, which only this process can change.

    The action may have a duplicate of a descriptor that its worker sent. If it made that one
    blocking, a read would stop the server.

    Raises:
        ProtocolError: these are no two pipes, or the system does not open them for reading.
    """
    opened: list[int] = []
    try:
        for each in descriptors:
            if not stat.S_ISFIFO(os.fstat(each).st_mode):
                raise ProtocolError("the log of a worker is two pipes")
            flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
            opened.append(os.open(f"/proc/self/fd/{each}", flags))
        out, err = opened
    except (OSError, ProtocolError) as error:
        for each in opened:
            os.close(each)
        raise ProtocolError(f"the pipes of its log cannot be read: {error}") from error
    return out, err
