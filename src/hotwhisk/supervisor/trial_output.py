"""
Write what a version prints in its trial to the log, with a mark before each line.

Only if the log is text. The worker on trial prints into two pipes, and what comes is written to the
stream of the same number. So a reader of the log does not take its lines for those of the current
version. After the trial the worker prints into its own streams again. What a child process that it
started meanwhile prints still comes through the pipes, with the mark.

The supervisor reads little at a time, and waits neither for the worker nor for the reader of the
log: lines for which there is no room are dropped and counted, as other lines of its own.
"""

from __future__ import annotations

import os
from functools import partial

from hotwhisk.system.output import STREAMS, Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.supervisor.parts import Parts

READ_SIZE = 16384

READS = 16
"""Most reads of one pipe at the end of a trial."""

LONGEST_LINE = 16384
"""A longer line is written in parts, each with the mark."""

LOWEST = 3


class TrialOutput:
    """The two pipes of one trial, until all processes that print into them have ended."""

    def __init__(self, parts: Parts, generation: int) -> None:
        self._loop = parts.loop
        self._streams = parts.scoreboard.streams
        self._mark = b"[trial of generation %d] " % generation
        self._outputs: dict[int, Output] = {}
        self._rest: dict[int, bytes] = {}
        """For each pipe, the beginning of a line whose end has not come."""

    def open(self) -> list[int]:
        """
        Make the pipes and read them from now on; return the ends for the worker.

        The caller closes these.

        Raises:
            OSError: the system has no descriptors for them.
        """
        pipes: list[tuple[int, int]] = []
        try:
            pipes += (os.pipe2(os.O_CLOEXEC) for _ in STREAMS)
            outputs = [Output(stream, self._streams[stream], LOWEST) for stream in STREAMS]
        except OSError:
            for each in (end for pipe in pipes for end in pipe):
                os.close(each)
            raise
        for (reading, _), output in zip(pipes, outputs, strict=True):
            os.set_blocking(reading, False)
            self._outputs[reading], self._rest[reading] = output, b""
            self._loop.watch(reading, partial(self._read, reading))
        return [writing for _, writing in pipes]

    def read_rest(self) -> None:
        """Write what was printed until now; if that is much, the rest is read as it comes."""
        for descriptor in list(self._outputs):
            for _ in range(READS):
                if not self._read(descriptor):
                    break

    def _read(self, descriptor: int) -> bool:
        """Write lines that came from a pipe; return False if none came, and close it at its end."""
        try:
            data = os.read(descriptor, READ_SIZE)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        *lines, rest = (self._rest[descriptor] + data).split(b"\n")
        if rest and (not data or len(rest) >= LONGEST_LINE):
            lines.append(rest)
            rest = b""
        self._rest[descriptor] = rest
        self._write(self._outputs[descriptor], lines)
        if not data:
            self._loop.unwatch(descriptor)
            os.close(descriptor)
            self._outputs.pop(descriptor).close()
        return bool(data)

    def _write(self, output: Output, lines: list[bytes]) -> None:
        text = b"".join(self._mark + line + b"\n" for line in lines)
        try:
            output.write(text, timeout=0.0)
        except OSError:
            pass  # the stream was closed: the line is lost
