"""
Check whether a value from an untrusted packet has the type that a message's field declares.

Fields declare one of four types, so four functions serve all messages; `messages` calls them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

MAX_NUMBER = 2**64 - 1
"""The largest value of an ``int``: the largest that a field of the scoreboard holds."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def is_digest(text: str) -> bool:
    """Return whether a text is the name of an artifact."""
    return _DIGEST.fullmatch(text) is not None


def is_process_id(number: int) -> bool:
    """Return whether a number can be the id of one process other than 1; 0 means a group."""
    return 1 < number < 2**31


def _is_number(value: Any, _: int) -> bool:
    # `isinstance` takes a bool for an int, but a bool is not a count.
    return type(value) is int and 0 <= value <= MAX_NUMBER


def _is_text(value: Any, _: int) -> bool:
    return type(value) is str


def _is_bool(value: Any, _: int) -> bool:
    return type(value) is bool


def _are_rows(value: Any, width: int) -> bool:
    if type(value) is not list:
        return False
    for row in value:
        if type(row) is not list or len(row) != width:
            return False
        for each in row:
            if type(each) is not int or not 0 <= each <= MAX_NUMBER:
                return False
    return True


HAS_TYPE: dict[str, Callable[[Any, int], bool]] = {
    "int": _is_number,
    "str": _is_text,
    "bool": _is_bool,
    "Sequence[Sequence[int]]": _are_rows,
}
"""
Functions by declared type: each says whether a value has that type.

The second argument is the length of a row.
"""
