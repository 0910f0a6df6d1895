"""
Read and write JSON with the standard library's results, faster where the result is the same.

A small body is what `/run` mostly carries. For it the standard library's C scanner is as fast as
anything; only the layers of Python above it are left out here. The standard library is slow at one
long string (a file in base64): it looks at each character, where orjson looks at sixteen. So
orjson, if installed, is used for long strings and nothing else, and only if its result is provably
the same:

* Input: orjson reads an integer beyond 64 bits as a float and refuses some documents
  that the standard library accepts. A result without a float therefore had no such
  integer, so it is the same. After a float in it, or a refusal, the standard library
  reads the document again.
* Output: orjson writes other types than the standard library does (dataclasses, UUIDs,
  dates), floats differently, and follows no subclass. So it is given exact built-in
  types without floats only. After a refusal, the standard library writes it.

Both checks walk the value and give up after a few dozen nodes, so beside a long string their time
cannot be measured. docs/decisions.md says what was rejected.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import types
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, Protocol

WORTH_WHILE: Final = 8 * 1024
"""Bytes of text below which the standard library is as fast; measured."""

MOST_NODES: Final = 64
"""Most nodes of a value that orjson is given."""

MOST_NOTES: Final = 3
"""Most notes that an error keeps about the place in a value that is too deep to be written."""

_STRINGS: Final = frozenset({str})
_CONSTANTS: Final = frozenset({bool, type(None)})
_BITS_64: Final = range(-(2**63), 2**64)

_SPACES: Final = " \t\n\r"
_OPENING: Final = b"{["
_scan: Final = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
_encoder: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _make_write() -> Callable[[object, int], Iterable[str]]:
    """
    Return a function that returns the parts of a value's JSON; its second argument is 0.

    It is one C encoder for all values, because to make one takes longer than to write a small
    result. On an interpreter without a C encoder, it is the method that ``_encoder.encode`` calls.
    """
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return lambda value, _: _encoder.iterencode(value)
    # markers None: a value that holds itself is a RecursionError instead of a ValueError.
    write: Callable[[object, int], Iterable[str]] = make(
        None, _encoder.default, json.encoder.encode_basestring, None, ":", ",", False, False, False
    )
    return write


_write: Final = _make_write()


class _Library(Protocol):
    """The two functions of a faster library that are used here."""

    def loads(self, data: bytes | memoryview, /) -> Any: ...

    def dumps(self, value: Any, /) -> bytes: ...


class _Faster:
    """
    The faster library; ``wanted`` until it is imported.

    It brings two megabytes of the standard library along, so a process without a long string never
    imports it.
    """

    # A global, so that the hot path needs no codec object as an argument. `use_faster` sets it at
    # the start, before any fork.
    wanted = False
    home: Callable[[], AbstractContextManager[None]] = nullcontext
    library: _Library | None = None


def use_faster(home: Callable[[], AbstractContextManager[None]] = nullcontext) -> bool:
    """
    Use orjson for long strings if it is installed; return whether it is.

    It is imported within ``home()`` when it is first needed, and then removed from ``sys.modules``:
    an action that imports orjson gets its own version of it, or none if it has none, not the one of
    the server.
    """
    _Faster.library, _Faster.home = None, home
    _Faster.wanted = importlib.util.find_spec("orjson") is not None
    return _Faster.wanted


def _faster() -> _Library | None:
    """Return the faster library, or None."""
    if _Faster.wanted:
        _Faster.wanted = False
        with _Faster.home():
            theirs = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_its(name)}
            try:
                import orjson

                _Faster.library = orjson
            except ImportError:
                pass  # installed, but it cannot be used here
            for name in [name for name in sys.modules if _is_its(name)]:
                del sys.modules[name]
            sys.modules.update(theirs)
    return _Faster.library


def _is_its(name: str) -> bool:
    return name.partition(".")[0] == "orjson"


def loads(data: bytes | memoryview) -> object:
    """
    Read a JSON document as ``json.loads`` does.

    Raises:
        ValueError: it is not JSON.
        RecursionError: it is nested too deeply.
    """
    if len(data) >= WORTH_WHILE and (library := _faster()) is not None:
        try:
            value = library.loads(data)
        except ValueError:
            pass  # the standard library decides whether something is wrong with it
        else:
            if _text_and_integers(value) is not None:
                return value
    if len(data) < 2 or data[0] not in _OPENING or data[1] == 0:
        return json.loads(bytes(data))  # perhaps UTF-16, UTF-32 or a byte order mark
    text = str(data, "utf-8", "surrogatepass")
    try:
        value, end = _scan(text, 0)
    except StopIteration:  # the scanner's way to say that a value is missing
        return json.loads(text)
    if end == len(text) or not text[end:].strip(_SPACES):
        return value
    return json.loads(text)  # it raises the error


def dumps(value: object) -> bytes:
    r"""
    Write compact JSON in UTF-8, as ``json.dumps`` does with ``ensure_ascii=False``.

    NaN and the infinities are refused with ``ValueError``; what has no JSON form, with
    ``TypeError``. A lone surrogate has no UTF-8 form and is written as its ``\u`` escape,
    which is what ``backslashreplace`` makes of it: it can stand inside a string only.
    """
    if _Faster.wanted or _Faster.library is not None:
        length = _text_and_integers(value)
        if length is not None and length >= WORTH_WHILE and (library := _faster()) is not None:
            try:
                return library.dumps(value)
            except TypeError:
                pass  # a lone surrogate, for example
    return dumps_short(value)


def dumps_short(value: object) -> bytes:
    """Write a value that is known to be small, without a look at its strings."""
    try:
        return "".join(_write(value, 0)).encode("utf-8", "backslashreplace")
    except RecursionError as error:
        # Python 3.14 goes as deep as its stack and adds a note for each level: two megabytes.
        notes = getattr(error, "__notes__", [])
        del notes[:-MOST_NOTES]
        raise


def close_coroutines(value: object) -> None:
    """
    Close coroutines inside a value that has no JSON form.

    The author of the action gets an error about them. Python's warning that they were never awaited
    is not needed as well; it would name a line of the server.
    """
    waiting: list[object] = [value]
    most = 10_000
    while waiting and most:
        most -= 1
        node = waiting.pop()
        if isinstance(node, dict):
            waiting += node.values()
        elif isinstance(node, (list, tuple)):
            waiting += node
        elif isinstance(node, types.CoroutineType):
            node.close()


def _text_and_integers(value: object) -> int | None:
    """
    Return the number of characters of text in a value of few nodes.

    Return None if the value has too many nodes, or types that the two libraries write differently.
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
