"""
Read and write JSON with the standard library's results, faster where the result is the same.

A small body is what `/run` mostly carries. For it the standard library's C scanner is as fast as
anything; only the layers of Python above it are left out here. Large bodies are read and written
by `hotwhisk.faster_json`, if orjson is installed and the server wants it.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from hotwhisk.faster_json import FasterJson

MOST_NOTES: Final = 3
"""Most notes that an error keeps about the place in a value that is too deep to be written."""

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


class _Faster:
    """Holds the codec for large bodies, once `use_faster` was called."""

    # A global, so that the hot path needs no codec object as an argument. `use_faster` sets it at
    # the start, before any fork.
    codec: FasterJson | None = None


def use_faster(home: Callable[[], AbstractContextManager[None]] = nullcontext) -> bool:
    """
    Use orjson for large bodies if it is installed; return whether it is.

    It is imported within ``home()`` when it is first worth it. A built artifact has no code for it.
    """
    try:
        from hotwhisk.faster_json import FasterJson, find_library
    except ImportError:
        return False
    found = find_library()
    _Faster.codec = FasterJson(found, home) if found else None
    return found is not None


def loads(data: bytes | memoryview) -> object:
    """
    Read a JSON document as ``json.loads`` does.

    Raises:
        ValueError: it is not JSON.
        RecursionError: it is nested too deeply.
    """
    if _Faster.codec is not None:
        value = _Faster.codec.loads(data)
        if value is not None:
            return value
    return loads_short(data)


def loads_short(data: bytes | memoryview) -> object:
    """Read a document that is known to be small, or that only the standard library can read."""
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

    In a large value a float may have another text for the same number, such as ``1e-8`` for
    ``1e-08``.

    NaN and the infinities are refused with ``ValueError``; what has no JSON form, with
    ``TypeError``. A lone surrogate has no UTF-8 form and is written as its ``\u`` escape,
    which is what ``backslashreplace`` makes of it: it can stand inside a string only.
    """
    if _Faster.codec is not None:
        text = _Faster.codec.dumps(value)
        if text is not None:
            return text
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
