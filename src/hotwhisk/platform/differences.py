"""
Compare two activation records of the same action and event on two runtimes.

The two streams of the log are compared separately, because the order of lines of different streams
is random.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from hotwhisk.json_differences import (
    IGNORED,
    ChangedPlace,
    changed_places,
    cut,
    excerpts,
    text_of,
    without,
)
from hotwhisk.platform.logs import stream_and_text
from hotwhisk.platform.verdict import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Record = dict[str, Any]

LEAST_MS = 20
"""A difference in time of fewer milliseconds is noise, whatever the factor."""

_FAILURES = (Status.DEVELOPER_ERROR.text, Status.WHISK_ERROR.text)
_FRAME = re.compile(r'^File "(?P<folder>[^"]*/)?(?P<name>[^"/]+)", line \d+')
_RUNTIME = re.compile(
    r'^File "(?:[^"]*/)?(?:exec__\.py|lib/launcher\.py|pythonrunner\.py|actionproxy\.py)", line \d'
    r'|^File "[^"]*/hotwhisk/[^"]+\.py", line \d'
)
"""Frames of the code that calls the handler: the launchers of official images, and hotwhisk."""

_MARKS = re.compile(r"[~^ ]+")
_ERROR = re.compile(r"[\w.]+(: .*)?")
"""Matches the last line of a traceback, which is not a line of code."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference, with the values of both sides."""

    where: str
    lines: tuple[str, ...]

    def shown(self) -> str:
        """Return lines for people: a line that says where, and lines that say what."""
        return "\n".join([f"  {self.where}", *(f"    {line}" for line in self.lines)])


def differences(
    old: Record, new: Record, ignored: Sequence[re.Pattern[str]] = ()
) -> list[Difference]:
    """Return the differences of two activation records that matter to a user, except times."""
    found = []
    before, after = old["response"], new["response"]
    if before["status"] != after["status"]:
        found.append(_shown(ChangedPlace("status", *excerpts(before["status"], after["status"]))))
    values = without(before.get("result"), ignored), without(after.get("result"), ignored)
    found += [_shown(place) for place in changed_places(*values, "result")]
    for stream in ("stdout", "stderr"):
        lines = [_log_lines(record, stream, ignored) for record in (old, new)]
        changed = tuple(_changed_lines(*lines))
        if changed:
            found.append(Difference(f"log of {stream}", changed))
    return found


def shared_failures(old: Record, new: Record) -> Iterator[Difference]:
    """Return that both sides failed without an application error: equal, but not good news."""
    answers = old["response"], new["response"]
    if all(answer["status"] in _FAILURES for answer in answers):
        error = answers[0]["result"]["error"]
        text = error if isinstance(error, str) else text_of(error)
        yield Difference("both failed", tuple(cut(text.strip()).splitlines()))


def slower(old: Record, new: Record, factor: float) -> Iterator[Difference]:
    """Return the times of which one is more than ``factor`` times the other."""
    for what, before, after in zip(("init", "run"), _times(old), _times(new), strict=True):
        if before is None or after is None:  # one side did not do it
            continue
        if abs(after - before) < LEAST_MS or min(before, after) * factor >= max(before, after):
            continue
        times = max(before, after) / max(1, min(before, after))
        word = "slower" if after > before else "faster"
        text = f"time of {what}: {before} ms, now {after} ms ({times:.1f} times {word})"
        yield Difference(text, ())


def _shown(place: ChangedPlace) -> Difference:
    return Difference(place.path, (f"- {place.old}", f"+ {place.new}"))


def _log_lines(record: Record, stream: str, ignored: Sequence[re.Pattern[str]]) -> list[str]:
    """
    Return one stream of the log without the runtime's part of tracebacks.

    This part is the folder of the action, the launcher's own frames, and the marks below a line.
    Each version of Python has its own marks. Spaces at the ends of a line are left out, as the
    platform does, because a record may have kept them.
    """
    lines = map(stream_and_text, record["logs"])
    own = [text.strip() for name, text in lines if name == stream]
    shown = [str(without(line, ignored)) for line in _frames_of_the_action(own)]
    return [line for line in shown if line != IGNORED]


def _frames_of_the_action(lines: Sequence[str]) -> Iterator[str]:
    """Return the lines of a log, with tracebacks reduced to the part of the action."""
    in_frame = hidden = False
    for line in lines:
        if frame := _FRAME.match(line):
            in_frame, hidden = True, _RUNTIME.match(line) is not None
            if not hidden:
                # A zip's __main__.py is main__.py in the official images.
                name = "main__.py" if frame["name"] == "__main__.py" else frame["name"]
                yield f'File "…/{name}{line[frame.end("name") :]}'
        elif hidden and not _ERROR.fullmatch(line):
            hidden = False  # the line of code; a frame, marks or the error follow
        elif not (in_frame and _MARKS.fullmatch(line)):
            hidden = False
            yield line


def _changed_lines(old: list[str], new: list[str]) -> Iterator[str]:
    for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            yield from (f"- {line}" for line in old[a:b])
            yield from (f"+ {line}" for line in new[c:d])


def _times(record: Record) -> tuple[int | None, int | None]:
    """Return the milliseconds of init and of run, or None for a step that was not done."""
    notes = {note["key"]: note["value"] for note in record["annotations"]}
    init, duration = notes.get("initTime"), int(record["duration"])
    if init is None:
        return None, duration
    failed = record["response"]["status"] in _FAILURES
    run = None if failed and duration <= int(init) else max(0, duration - int(init))
    return int(init), run
