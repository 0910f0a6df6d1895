"""
The marks between the lines of an action, which say to which run a line belongs.

Under ``--log-format json`` the standard output streams of a worker are two pipes that the
supervisor reads. The action writes to them, and so do its threads, its child processes and its
libraries in C. The worker writes a mark into both pipes before each run and after it, so the lines
of a run lie between its marks. A third mark, on stderr only, says that the answer is sent: if a
worker dies before that, its client may have had another answer. If several runs are open, it is not
known to which of them a line belongs.

A mark is one write of less than PIPE_BUF bytes, so another writer never gets between its bytes.

A mark begins with a NUL and with a token that the worker has drawn, so no ordinary output is taken
for one. The action could learn the token and write false marks. It would mislead its own log only:
a mark with a value that no worker writes is text, and no text in a mark is long.
"""

from __future__ import annotations

from json.encoder import encode_basestring_ascii as quote

from hotwhisk import json_codec
from hotwhisk.ipc.counters import MOST, AnswerKind
from hotwhisk.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

LONGEST_ID: Final = 128
"""Most characters of an activation id that are kept."""

LONGEST_LINE: Final = 16384
"""Most bytes of a line. A longer one is cut into parts."""

LONGEST_MARK: Final = 2048
"""Most bytes of a mark behind its token."""

_RAN: Final = frozenset((AnswerKind.OK, AnswerKind.ERROR))
"""The kinds of the answers that a worker gives."""

_TRACE_ID: Final = 32
_LATEST: Final = 1e11
"""The latest time that is believed: the year 5138."""


class RunBegin(Record):
    """A run begins, on connection ``number``, ``at`` seconds since the epoch."""

    number: int
    activation_id: str
    trace_id: str
    at: float

    def mark(self, token: bytes) -> bytes:
        """Return the mark, which begins with ``token``."""
        name, trace = quote(self.activation_id[:LONGEST_ID]), quote(self.trace_id)
        return token + f"[{self.number},{name},{trace},{self.at}]\n".encode()


class RunEnd(Record):
    """
    A run has ended, and its answer is about to be sent.

    ``length`` is the number of bytes of the answer's body, ``ms`` the duration in milliseconds.
    """

    number: int
    status: int
    kind: AnswerKind
    length: int
    ms: float
    at: float

    def mark(self, token: bytes) -> bytes:
        """Return the mark, which begins with ``token``."""
        values = f"{self.number},{self.status},{quote(self.kind)},{self.length},{self.ms},{self.at}"
        return token + f"[{values}]\n".encode()


class RunSent(Record):
    """The answer of the run on connection ``number`` is sent, or its client is gone."""

    number: int

    def mark(self, token: bytes) -> bytes:
        """Return the mark, which begins with ``token``."""
        return b"%s[%d]\n" % (token, self.number)


class OutputLine(Record):
    """
    A line without its line break. ``run`` is None if it belongs to no run, or if that is not known.

    If it is not ``whole``, the next line of the stream continues it.
    """

    data: bytes
    run: RunBegin | None
    whole: bool = True


class EndedRun(Record):
    """A run that is over. ``end`` is None if the mark of its end was not found."""

    run: RunBegin
    end: RunEnd | None = None


Found = OutputLine | EndedRun


class MarkedStream:
    """
    Reads one of the two pipes: tells lines from marks, and keeps what is not complete.

    ``capacity`` is how many connections the server can have, so how many runs can be open.
    ``has_sent`` says whether it is the pipe with the marks of sent answers.
    """

    def __init__(self, token: bytes, capacity: int, *, has_sent: bool) -> None:
        self._token = token
        self._capacity = capacity
        self._has_sent = has_sent
        self.runs: dict[int, RunBegin] = {}
        """The runs that have begun and not ended, by connection."""
        self.run: RunBegin | None = None
        """The run to which a line belongs now: the only one that is open."""
        self.unsent: dict[int, EndedRun] = {}
        """The runs whose answers are not known to be sent, by connection."""
        self._found: list[Found] = []
        self._line = b""
        """The beginning of a line."""
        self._undecided = b""
        """The beginning of a mark, perhaps."""

    def feed(self, data: bytes) -> list[Found]:
        """Take what was read; return the lines and runs that are complete."""
        text, *marked = (self._undecided + data).split(self._token)
        self._undecided = b""
        if marked:
            self._take(text)
            for each in marked[:-1]:
                self._take_marked(each)
            last = marked[-1]
            if b"\n" not in last and len(last) < LONGEST_MARK:
                self._undecided = self._token + last
            else:
                self._take_marked(last, last=True)
        else:
            self._take(self._without_beginning(text))
        found, self._found = self._found, []
        return found

    def end(self) -> list[Found]:
        """Return what is left when the output is over for now: a line without a line break."""
        self._take(self._undecided)
        self._undecided = b""
        self._end_line()
        found, self._found = self._found, []
        return found

    def _take_marked(self, data: bytes, *, last: bool = False) -> None:
        """Take a mark without its token, and the text behind it."""
        values, _, text = data.partition(b"\n")
        mark = _read(values)
        if mark is None or not 0 <= mark.number < self._capacity:
            text = self._token + data
        else:
            self._apply(mark)
        self._take(self._without_beginning(text) if last else text)

    def _without_beginning(self, text: bytes) -> bytes:
        """Keep back the end of a text if it can be the beginning of a token; return the rest."""
        at = text.rfind(self._token[:1], -len(self._token))
        if at >= 0 and self._token.startswith(text[at:]):
            self._undecided = text[at:]
            return text[:at]
        return text

    def _take(self, text: bytes) -> None:
        if not text:
            return
        first, *others = text.split(b"\n")
        lines = [self._line + first, *others]
        self._line = self._cut(lines.pop())
        run = self.run
        for line in lines:
            self._found.append(OutputLine(self._cut(line), run))

    def _cut(self, line: bytes) -> bytes:
        """Cut parts from the beginning of a line that is too long; return its last part."""
        while len(line) > LONGEST_LINE:
            at = LONGEST_LINE
            while at > LONGEST_LINE - 3 and line[at] & 0xC0 == 0x80:  # within a character of UTF-8
                at -= 1
            self._found.append(OutputLine(line[:at], self.run, whole=False))
            line = line[at:]
        return line

    def _end_line(self) -> None:
        if self._line:
            self._found.append(OutputLine(self._line, self.run))
            self._line = b""

    def _apply(self, mark: RunBegin | RunEnd | RunSent) -> None:
        """Open or close a run. If the lines belong to another one from here on, a line ends."""
        number, runs = mark.number, self.runs
        if isinstance(mark, RunEnd):
            before = runs.pop(number, None)
            if before is None and number in self.unsent:
                before = self.unsent[number].run  # its answer was broken off: this is another one
            if before is not None and self._has_sent:
                self.unsent[number] = EndedRun(before, mark)
        else:
            ended = self.unsent.pop(number, None)
            if ended is not None:
                self._found.append(ended)
            if isinstance(mark, RunSent):
                return
            before = runs.get(number)
            if before is not None and self._has_sent:
                self._found.append(EndedRun(before))
            runs[number] = mark
        run = next(iter(runs.values())) if len(runs) == 1 else None
        if run is not self.run:
            self._end_line()
            self.run = run


def _read(data: bytes) -> RunBegin | RunEnd | RunSent | None:
    """Return the mark with these values; None if it is none."""
    if len(data) > LONGEST_MARK:
        return None
    try:
        values = json_codec.loads_short(data)
    except (ValueError, RecursionError):
        return None
    if type(values) is not list:
        return None
    kinds = tuple(map(type, values))
    if kinds == (int,):
        return RunSent(*values)
    if kinds == (int, str, str, float) and _is_time(values[3]):
        number, name, trace, at = values
        return RunBegin(number, name[:LONGEST_ID], trace[:_TRACE_ID], at)
    if kinds == (int, int, str, int, float, float) and all(map(_is_time, values[4:])):
        number, status, kind, length, ms, at = values
        if kind in _RAN and 100 <= status <= 599 and 0 <= length <= MOST:
            return RunEnd(number, status, AnswerKind(kind), length, ms, at)
    return None


def _is_time(value: float) -> bool:
    return 0.0 <= value < _LATEST  # this excludes NaN too
