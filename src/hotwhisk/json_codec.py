"""
JSON with the standard library's semantics, faster where that changes nothing.

A small body is what `/run` mostly carries, and there the standard library's C scanner
is as fast as anything; only the layers of Python above it are cut here. What it is slow
at is one long string (a file in base64): it looks at each character, where orjson looks
at sixteen. So orjson, if installed, is taken for long strings and nothing else, and only
where its result is provably the same:

* Input: orjson reads an integer beyond 64 bits as a float and refuses some documents
  that the standard library accepts. A result without a float therefore had no such
  integer, so it is the same; any float in it, or any refusal, and the standard library
  reads the document again.
* Output: orjson writes other types than the standard library does (dataclasses, UUIDs,
  dates), floats differently, and follows no subclass. So it is given exact built-in
  types without floats only; any refusal, and the standard library writes it.

Both checks walk the value and give up after a few dozen nodes, so they cost nothing
that can be measured beside a string worth the trouble. Weighed against it: orjson for
everything, with the differences documented. It is twice as fast for large documents of
many small nodes, but an action would see other numbers on a machine that has it.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final, Protocol

WORTH_WHILE: Final = 8 * 1024
"""Below so many bytes of text the standard library is as fast; measured."""

MOST_NODES: Final = 64
"""A value with more nodes than this is left to the standard library."""

_STRINGS: Final = frozenset({str})
_CONSTANTS: Final = frozenset({bool, type(None)})
_BITS_64: Final = range(-(2**63), 2**64)

_SPACES: Final = " \t\n\r"
_scan: Final = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
_encoder: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class _Library(Protocol):
    """
    The two functions that are wanted of a faster library.
    """

    def loads(self, data: bytes | memoryview, /) -> Any: ...

    def dumps(self, value: Any, /) -> bytes: ...


_faster: list[_Library] = []
# The one mutable global: set once at start by `use_faster`, before any fork, so that the
# hot path needs no codec object handed through every call.


def use_faster() -> bool:
    """
    Take orjson for long strings if it is installed; say whether it is.

    It is then taken out of ``sys.modules``: an action that imports orjson gets its own
    version of it, or none if it has none, not the one of the server.
    """
    before = set(sys.modules)
    try:
        import orjson
    except ImportError:
        return False
    _faster[:] = [orjson]
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "orjson":
            del sys.modules[name]
    return True


def loads(data: bytes | memoryview) -> object:
    """
    Read a JSON document as ``json.loads`` does.

    Raises ``ValueError`` if it is none, and ``RecursionError`` if it is nested too deeply.
    """
    if _faster and len(data) >= WORTH_WHILE:
        try:
            value = _faster[0].loads(data)
        except ValueError:
            pass  # the standard library decides what is wrong with it, if anything is
        else:
            if _text_and_integers(value) is not None:
                return value
    if len(data) < 2 or data[0] != 0x7B or data[1] == 0:
        return json.loads(bytes(data))  # perhaps UTF-16, UTF-32 or a byte order mark
    text = str(data, "utf-8", "surrogatepass")
    try:
        value, end = _scan(text, 0)
    except StopIteration:  # the scanner's way to say that a value is missing
        return json.loads(text)
    if end == len(text) or not text[end:].strip(_SPACES):
        return value
    return json.loads(text)  # which says what is wrong


def dumps(value: object) -> bytes:
    r"""
    Write compact JSON in UTF-8, as ``json.dumps`` does with ``ensure_ascii=False``.

    NaN and the infinities are refused with ``ValueError``; what has no JSON form, with
    ``TypeError``. A lone surrogate has no UTF-8 form and is written as its ``\u`` escape,
    which is what ``backslashreplace`` makes of it: it can stand inside a string only.
    """
    if _faster:
        length = _text_and_integers(value)
        if length is not None and length >= WORTH_WHILE:
            try:
                return _faster[0].dumps(value)
            except TypeError:
                pass  # a lone surrogate, for example
    return _encoder.encode(value).encode("utf-8", "backslashreplace")


def _text_and_integers(value: object) -> int | None:
    """
    Characters of text in a value of few nodes, all of types that both libraries agree on;
    None if it has others, or too many nodes.
    """
    length = 0
    waiting: list[Any] = [value]
    for _ in range(MOST_NODES):
        node = waiting.pop()
        kind = type(node)
        if kind is str:
            length += len(node)
        elif kind is dict or kind is list:
            if len(node) > MOST_NODES or (
                kind is dict and not _STRINGS.issuperset(map(type, node))
            ):
                return None
            waiting += node.values() if kind is dict else node
        elif kind not in _CONSTANTS and (kind is not int or node not in _BITS_64):
            return None
        if not waiting:
            return length
    return None
