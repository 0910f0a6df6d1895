"""Find the tracebacks in a log, and show each place with the lines of the source around it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from hotwhisk.gateway.page.highlight import Span, highlight
from hotwhisk.platform.logs import stream_and_text

AROUND: Final = 3
"""Lines of the source before and after the one that a frame names."""

_FRAME: Final = re.compile(r'^\s*File "(?P<path>[^"]+)", line (?P<line>\d+)(?:, in (?P<name>.+))?$')
_OWN: Final = re.compile(r"/run/[^/]+/\d+/\d+/code/(?P<file>.+)$")
"""Where a server unpacks a version: its folder, its process, the generation, then the file."""

_BEGIN: Final = "Traceback (most recent call last):"
_ERROR: Final = re.compile(r"^[A-Za-z_][\w.]*(: .*)?$")
"""The line that ends a traceback, and neither code that goes on nor marks below it."""


@dataclass(slots=True)
class Frame:
    """
    A place in a traceback.

    ``file`` is the path in the action's folder, or a whole path. ``code`` is the line as the log
    has it. ``lines`` are the numbers and the spans of the source around, for a file of the action.
    """

    file: str
    line: int
    function: str
    code: str = ""
    lines: list[tuple[int, list[Span]]] = field(default_factory=list)


@dataclass(slots=True)
class Traceback:
    """The frames of one exception, the outermost first, and the line that says what it is."""

    frames: list[Frame] = field(default_factory=list)
    error: str = ""


def find_tracebacks(logs: Iterable[str], read_file: Callable[[str], str | None]) -> list[Traceback]:
    """
    Return the tracebacks in the log of an activation.

    ``read_file`` returns the file of the version that ran which may have a path. If it has another
    line than the log at that place, it is another file of that name.
    """
    found = _parse(text for line in logs for text in _of_stderr(line))
    sources: dict[str, list[list[Span]]] = {}
    for frame in (each for traceback in found for each in traceback.frames):
        if frame.file not in sources:
            sources[frame.file] = highlight(read_file(frame.file) or "")
        lines = sources[frame.file]
        here = "".join(text for spans in lines[frame.line - 1 : frame.line] for _, text in spans)
        if frame.code and here.strip() == frame.code.strip():
            first = max(1, frame.line - AROUND)
            frame.lines = list(enumerate(lines[first - 1 : frame.line + AROUND], first))
    return found


def _of_stderr(line: str) -> list[str]:
    """Return the text of a line of the log if it was written to standard error."""
    stream, text = stream_and_text(line)
    return [text.strip()] if stream == "stderr" else []


def _parse(lines: Iterable[str]) -> list[Traceback]:
    """
    Return the tracebacks in a text whose lines have lost their indentation.

    After a frame comes the line of code. Further lines of it, marks, and a note about frames that
    are repeated may follow. The error ends the traceback.
    """
    found: list[Traceback] = []
    current: Traceback | None = None
    skip = False
    for line in lines:
        match = _FRAME.match(line)
        if match:
            if current is None:
                current = Traceback()
                found.append(current)
            current.frames.append(_frame(match))
            skip = True
        elif skip:
            found[-1].frames[-1].code = line
            skip = False
        elif line == _BEGIN:
            current = None
        elif current is not None and _ERROR.match(line):
            current.error = line
            current = None
    return found


def _frame(match: re.Match[str]) -> Frame:
    own = _OWN.search(match["path"])
    file = own["file"] if own else match["path"]
    return Frame(file, int(match["line"]), match["name"] or "")
