"""Count the functions of hotwhisk that are called, which no slow machine changes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import hotwhisk

PACKAGE = Path(hotwhisk.__file__).parent


def calls_of(function: Callable[[], object]) -> list[tuple[str, str]]:
    """
    Return the file and the name of each function that is called, one after the other.

    Comprehensions do not count, because from Python 3.12 on they are no functions.
    """
    calls: list[tuple[str, str]] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and not code.co_qualname.endswith("comp>"):
            path = Path(code.co_filename)
            if path.is_relative_to(PACKAGE):
                calls.append((str(path.relative_to(PACKAGE)), code.co_qualname))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(before)
    return calls
