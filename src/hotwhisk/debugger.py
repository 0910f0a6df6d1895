"""Why a debugger in an action quits at once: a worker has no terminal."""

from __future__ import annotations

from typing import Final

NO_TERMINAL: Final = (
    "breakpoint() and pdb need a terminal, and a worker has none: its standard input is empty; "
    "docs/debugging.md says what works, such as debugpy"
)


def debugger_hint(error: BaseException) -> str:
    """
    Return why a debugger in the action quit at once, and what to do; "" for other errors.

    pdb quits by ``BdbQuit``, and from Python 3.14 on by ``sys.exit(1)``.
    """
    if type(error).__name__ == "BdbQuit":
        return NO_TERMINAL
    frame = error.__traceback__ if isinstance(error, SystemExit) else None
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    raised_in = frame.tb_frame.f_globals.get("__name__") if frame is not None else None
    return NO_TERMINAL if raised_in == "pdb" else ""
