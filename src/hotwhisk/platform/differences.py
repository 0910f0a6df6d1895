"""
Compare two activation records of the same action and event on two runtimes.

The two streams of the log are compared separately, because the order of lines of different streams
is random.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from hotwhisk.platform.logs import stream_and_text
from hotwhisk.platform.verdict import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Record = dict[str, Any]

LONGEST = 200
"""Most characters of a value that are shown."""

LEAST_MS = 20
"""A difference in time of fewer milliseconds is noise, whatever the factor."""

_FAILURES = (Status.DEVELOPER_ERROR.text, Status.WHISK_ERROR.text)
_IGNORED = "…"
_FRAME = re.compile(r'^File "(?P<folder>[^"]*/)?(?P<name>[^"/]+)", line \d+')
_RUNTIME = re.compile(
    r'^File "(?:[^"]*/)?(?:exec__\.py|lib/launcher\.py|pythonrunner\.py|actionproxy\.py)", line \d'
    r'|^File "[^"]*/hotwhisk/[^"]+\.py", line \d'
)
"""Frames of the code that calls the handler: the launchers of official images, and hotwhisk."""

_MARKS = re.compile(r"[~^ ]+")
_ERROR = re.compile(r"[\w.]+(: .*)?")
"""Matches the last line of a traceback, which is not a line of code."""
_MISSING = object()


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
        found.append(_pair("status", before["status"], after["status"]))
    values = _ignore(before.get("result"), ignored), _ignore(after.get("result"), ignored)
    found += _compare_values(*values, "result")
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
        text = error if isinstance(error, str) else _text(error)
        yield Difference("both failed", tuple(_cut(text.strip(), 0).splitlines()))


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


def _compare_values(old: object, new: object, where: str) -> Iterator[Difference]:
    """Return the deepest differences of two JSON values; 1, 1.0 and true are three values."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            place = f"{where}.{key}" if re.fullmatch(r"\w+", key) else f"{where}[{json.dumps(key)}]"
            yield from _compare_values(old.get(key, _MISSING), new.get(key, _MISSING), place)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from _compare_values(*pair, f"{where}[{index}]")
    elif _text(old) != _text(new):
        yield _pair(where, _text(old), _text(new))


def _text(value: object) -> str:
    return "(absent)" if value is _MISSING else json.dumps(value, ensure_ascii=False)


def _pair(where: str, old: str, new: str) -> Difference:
    """Return both values. Of long values, return the part around the first different character."""
    pairs = enumerate(zip(old, new, strict=False))
    same = next((at for at, (a, b) in pairs if a != b), min(len(old), len(new)))
    start = max(0, same - LONGEST // 4) if max(len(old), len(new)) > LONGEST else 0
    return Difference(where, (f"- {_cut(old, start)}", f"+ {_cut(new, start)}"))


def _cut(text: str, start: int) -> str:
    end = start + LONGEST
    return "…" * bool(start) + text[start:end] + "…" * (len(text) > end)


def _ignore(value: object, ignored: Sequence[re.Pattern[str]]) -> object:
    """
    Return the value without the parts of texts that match.

    A number or other value is treated as its JSON text. Keys are not changed.
    """
    if isinstance(value, dict):
        return {key: _ignore(each, ignored) for key, each in value.items()}
    if isinstance(value, list):
        return [_ignore(each, ignored) for each in value]
    text = shown = value if isinstance(value, str) else _text(value)
    for pattern in ignored:
        text = pattern.sub(_IGNORED, text)
    return value if text == shown else text


def _log_lines(record: Record, stream: str, ignored: Sequence[re.Pattern[str]]) -> list[str]:
    """
    Return one stream of the log without the runtime's part of tracebacks.

    This part is the folder of the action, the launcher's own frames, and the marks below a line.
    Each version of Python has its own marks. Spaces at the ends of a line are left out, as the
    platform does, because a record may have kept them.
    """
    lines = map(stream_and_text, record["logs"])
    own = [text.strip() for name, text in lines if name == stream]
    shown = [str(_ignore(line, ignored)) for line in _frames_of_the_action(own)]
    return [line for line in shown if line != _IGNORED]


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
