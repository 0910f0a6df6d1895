"""
Write the lines of ``--log-format json``: an event of the server, an activation, a line of output.

Each is one JSON object in ASCII, so no character of an action's output can end a line early.
"""

from __future__ import annotations

from functools import lru_cache
from json.encoder import encode_basestring_ascii as quote
from time import gmtime, strftime

from hotwhisk.ipc.counters import AnswerKind
from hotwhisk.record import Record
from hotwhisk.supervisor.log_events import ERROR, INFO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from hotwhisk.ipc.run_marks import EndedRun, OutputLine, RunBegin
    from hotwhisk.supervisor.log_events import LogEvent

STREAM_NAMES: Final = {1: "stdout", 2: "stderr"}

UNKNOWN: Final = "unknown"
"""The kind of an answer of which nothing is known."""


class WritingProcess(Record):
    """The process of a line; ``trial`` says that it is on trial. Generation 0 is no generation."""

    generation: int
    digest: str
    pid: int
    trial: bool = False

    def members(self) -> str:
        """Return the fields of a line that say this."""
        digest = quote(self.digest) if self.digest else "null"
        generation = self.generation or "null"
        trial = ',"trial":true' if self.trial else ""
        return f'"generation":{generation},"digest":{digest},"pid":{self.pid}{trial}'


def timestamp(at: float) -> str:
    """Return a time in seconds since the epoch as RFC 3339 writes it, with microseconds."""
    second, micro = divmod(int(at * 1_000_000), 1_000_000)
    return f"{_second(second)}.{micro:06d}Z"


@lru_cache(maxsize=16)
def _second(second: int) -> str:
    return strftime("%Y-%m-%dT%H:%M:%S", gmtime(second))


def event_line(at: float, event: LogEvent, text: str, origin: WritingProcess) -> bytes:
    """Return the line of an event of the server."""
    return (
        f'{{"timestamp":"{timestamp(at)}","level":"{event.level}","event":"{event}",'
        f'"message":{quote(text)},{origin.members()}}}\n'
    ).encode()


def output_line(at: float, stream: int, line: OutputLine, origin: str) -> bytes:
    """Return the line for a line of an action's output; ``origin`` has its process."""
    text = quote(line.data.decode(errors="backslashreplace"))
    run = _run_fields(line.run) if line.run is not None else ""
    part = "" if line.whole else '"part":true,'
    return (
        f'{{"timestamp":"{timestamp(at)}","level":"INFO","event":"output",'
        f'"stream":"{STREAM_NAMES[stream]}","message":{text},{part}{run}{origin}}}\n'
    ).encode()


def activation_line(at: float, ended: EndedRun, origin: str, cause: str = "") -> bytes:
    """
    Return the line of an activation.

    ``cause`` says how its worker died. What is not known is null.
    """
    end = ended.end
    kind, status, length, ms = UNKNOWN, 0, -1, 1000 * max(0.0, at - ended.run.at)
    if end is not None:
        kind, status, length, ms = end.kind, end.status, end.length, end.ms
    why = f'"cause":{quote(cause)},' if cause else ""
    return (
        f'{{"timestamp":"{timestamp(at)}","level":"{INFO if kind == AnswerKind.OK else ERROR}",'
        f'"event":"activation",{_run_fields(ended.run)}"status":{status or "null"},'
        f'"kind":{quote(kind)},{why}"duration_ms":{round(ms, 3)},'
        f'"bytes":{length if length >= 0 else "null"},{origin}}}\n'
    ).encode()


def _run_fields(run: RunBegin) -> str:
    trace = f'"trace_id":{quote(run.trace_id)},' if run.trace_id else ""
    return f'"activation_id":{quote(run.activation_id)},{trace}'
