"""Tell keywords, texts, numbers and comments of Python from the rest, to colour them."""

from __future__ import annotations

import io
import keyword
import tokenize
from typing import Final

Span = tuple[str, str]
"""The class of a piece of a line, which may be empty, and its text."""

_CLASSES: Final = {
    tokenize.COMMENT: "comment",
    tokenize.NUMBER: "number",
    tokenize.STRING: "string",
    **{
        getattr(tokenize, name): "string"
        for name in ("FSTRING_START", "FSTRING_MIDDLE", "FSTRING_END")
        if hasattr(tokenize, name)
    },
}


def highlight(text: str) -> list[list[Span]]:
    """Return the lines of a source as spans. What cannot be read as Python stays plain."""
    lines = text.splitlines()
    marks: list[list[tuple[int, int, str]]] = [[] for _ in lines]
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            name = _CLASSES.get(token.type)
            if token.type == tokenize.NAME and keyword.iskeyword(token.string):
                name = "keyword"
            if name is not None:
                _mark(marks, token, name)
    except (tokenize.TokenError, SyntaxError, IndexError):
        pass  # what was read before is marked
    return [list(_spans(line, found)) for line, found in zip(lines, marks, strict=True)]


def _mark(marks: list[list[tuple[int, int, str]]], token: tokenize.TokenInfo, name: str) -> None:
    """Note the part of each line that a token takes."""
    (first, begin), (last, end) = token.start, token.end
    for number in range(first, last + 1):
        left = begin if number == first else 0
        right = end if number == last else -1
        marks[number - 1].append((left, right, name))


def _spans(line: str, marks: list[tuple[int, int, str]]) -> list[Span]:
    spans: list[Span] = []
    at = 0
    for left, right, name in marks:
        stop = len(line) if right < 0 else right
        if left > at:
            spans.append(("", line[at:left]))
        if stop > max(at, left):
            spans.append((name, line[max(at, left) : stop]))
        at = max(at, stop)
    if at < len(line):
        spans.append(("", line[at:]))
    return spans
