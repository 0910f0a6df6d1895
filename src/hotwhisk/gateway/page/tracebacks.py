"""Find the tracebacks in a log, and show each place with the lines of the source around it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from hotwhisk.gateway.page.highlight import Span, highlight

AROUND: Final = 3
"""Lines of the source before and after the one that a frame names."""

_FRAME: Final = re.compile(r'^\s*File "(?P<path>[^"]+)", line (?P<line>\d+)(?:, in (?P<name>.+))?$')
_OWN: Final = re.compile(r"/run/[^/]+/\d+/code/(?P<file>.+)$")
"""Where an action server unpacks a version: its process, the generation, then the action's file."""

_BETWEEN: Final = re.compile(r"^([~^ ]*$|\[Previous line repeated )")
"""Lines between two frames: marks below a line of code, and a note about repeated frames."""


@dataclass(slots=True)
class Frame:
    """
    A place in a traceback.

    ``file`` is the path in the action's folder, or the whole path of a file of others. ``lines``
    are the numbers and the spans of the source around, for a file of the action.
    """

    file: str
    line: int
    function: str
    is_own: bool
    lines: list[tuple[int, list[Span]]] = field(default_factory=list)


@dataclass(slots=True)
class Traceback:
    """The frames of one exception, the outermost first, and the line that says what it is."""

    frames: list[Frame] = field(default_factory=list)
    error: str = ""


def find_tracebacks(logs: Iterable[str], read_file: Callable[[str], str | None]) -> list[Traceback]:
    """
    Return the tracebacks in the log of an activation.

    ``read_file`` returns a file of the version that ran, by its path.
    """
    found = _parse(text for line in logs for text in _of_stderr(line))
    sources: dict[str, list[list[Span]]] = {}
    for traceback in found:
        for frame in traceback.frames:
            if not frame.is_own:
                continue
            if frame.file not in sources:
                sources[frame.file] = highlight(read_file(frame.file) or "")
            first = max(1, frame.line - AROUND)
            around = sources[frame.file][first - 1 : frame.line + AROUND]
            frame.lines = list(enumerate(around, first))
    return found


def _of_stderr(line: str) -> list[str]:
    """Return the text of a line of the log if it was written to standard error."""
    _, mark, text = line.partition(" stderr: ")
    return [text] if mark else []


def _parse(lines: Iterable[str]) -> list[Traceback]:
    """
    Return the tracebacks in a text whose lines have lost their indentation.

    The line after a frame is the source, which we have ourselves; then may come a line of marks.
    What follows and is no frame ends the traceback: it is the error.
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
            skip = False
        elif current is not None and not _BETWEEN.match(line):
            current.error = line
            current = None
    return found


def _frame(match: re.Match[str]) -> Frame:
    own = _OWN.search(match["path"])
    file = own["file"] if own else match["path"]
    return Frame(file, int(match["line"]), match["name"] or "", own is not None)
