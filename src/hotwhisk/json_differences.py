"""
Find where two JSON values differ, and which of that is to be ignored.

Pure. ``hotwhisk compare`` compares two runtimes by it, and a trial the old and the new version.
"""

from __future__ import annotations

import re
from json import dumps

from hotwhisk.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Final

LONGEST: Final = 200
"""Most characters of a value that are shown."""

IGNORED: Final = "…"
"""What stands in the place of a part of a text that is ignored."""

_ABSENT: Final = object()
_WORD: Final = re.compile(r"\w+")


class ChangedPlace(Record):
    """A place where two values differ: its path, and the text of each value there."""

    path: str
    old: str
    new: str


def changed_places(old: object, new: object, path: str) -> Iterator[ChangedPlace]:
    """
    Yield the deepest places where two JSON values differ. 1, 1.0 and true are three values.

    Raises:
        RecursionError: they are nested too deeply.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            below = f"{path}.{key}" if _WORD.fullmatch(key) else f"{path}[{dumps(key)}]"
            yield from changed_places(old.get(key, _ABSENT), new.get(key, _ABSENT), below)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from changed_places(*pair, f"{path}[{index}]")
    elif (before := text_of(old)) != (after := text_of(new)):
        yield ChangedPlace(path, *excerpts(before, after))


def without(value: object, ignored: Sequence[re.Pattern[str]]) -> object:
    """
    Return a value without the parts of texts that match.

    A number or other value is treated as its JSON text. Keys are not changed.
    """
    if not ignored:
        return value
    if isinstance(value, dict):
        return {key: without(each, ignored) for key, each in value.items()}
    if isinstance(value, list):
        return [without(each, ignored) for each in value]
    text = shown = value if isinstance(value, str) else text_of(value)
    for pattern in ignored:
        text = pattern.sub(IGNORED, text)
    return value if text == shown else text


def text_of(value: object) -> str:
    """Return the JSON text of a value."""
    return "(absent)" if value is _ABSENT else dumps(value, ensure_ascii=False)


def excerpts(old: str, new: str) -> tuple[str, str]:
    """Return both texts. Of long texts, return the part around the first different character."""
    pairs = enumerate(zip(old, new, strict=False))
    same = next((at for at, (a, b) in pairs if a != b), min(len(old), len(new)))
    start = max(0, same - LONGEST // 4) if max(len(old), len(new)) > LONGEST else 0
    return cut(old, start), cut(new, start)


def cut(text: str, start: int = 0) -> str:
    """Return at most `LONGEST` characters of a text, with a mark where something is left out."""
    end = start + LONGEST
    return "…" * bool(start) + text[start:end] + "…" * (len(text) > end)
