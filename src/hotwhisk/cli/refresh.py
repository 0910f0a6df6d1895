"""Show a text again and again in its place, for ``status --watch``."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

INTERVAL = 1.0
"""Seconds from one text to the next."""

OTHER_SCREEN, NO_CURSOR, CURSOR, FIRST_SCREEN = (
    "\x1b[?1049h", "\x1b[?25l", "\x1b[?25h", "\x1b[?1049l",
)  # fmt: skip
TO_TOP, END_OF_LINE, BELOW = "\x1b[H", "\x1b[K", "\x1b[J"


def show_again(text: Callable[[], str | None], interval: float = INTERVAL) -> None:
    """
    Show the ``text`` every ``interval`` seconds, until it is None or Ctrl-C is pressed.

    In a terminal, each text is written over the one before, so that nothing flickers. At the end
    the last one stays in the ordinary screen. Elsewhere the texts follow each other.
    """
    last, in_terminal = "", sys.stdout.isatty()
    try:
        if in_terminal:
            _write(OTHER_SCREEN + NO_CURSOR)
        while (shown := text()) is not None:
            last = shown
            _write(over(shown) if in_terminal else f"{shown}\n\n")
            time.sleep(interval)
    except KeyboardInterrupt:
        pass
    finally:
        if in_terminal:
            _write(f"{CURSOR}{FIRST_SCREEN}{last}\n")


def over(text: str) -> str:
    """Return what writes a text over the one before: each line in its place, then nothing below."""
    return TO_TOP + "".join(f"{line}{END_OF_LINE}\n" for line in text.splitlines()) + BELOW


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
