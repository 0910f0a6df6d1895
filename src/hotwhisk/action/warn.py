"""
Warnings that Python places into a file of ours, though they are about the action.

It names the line that runs when it notices: for a coroutine that nobody awaits, or a file that
nobody closes, that is where the last reference goes, which may be our call of the handler. Such a
warning is told of the action's file. What is deprecated in our own code is no matter of the action.

Weighed: a filter (the author would not hear of a forgotten `await`, and the first
`simplefilter` of the action would come before it).
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import TYPE_CHECKING, Final

import hotwhisk
from hotwhisk.action.tracebacks import MODULE
from hotwhisk.sentinels import bounded

if TYPE_CHECKING:
    from typing import TextIO

_OURS: Final = os.path.dirname(hotwhisk.__file__) + os.sep
_OF_OUR_CODE: Final = (DeprecationWarning, PendingDeprecationWarning)


def place_warnings() -> None:
    """From now on, show warnings that would name a file of ours as those of the action."""
    shown = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not filename.startswith(_OURS):
            shown(message, category, filename, lineno, file, line)
        elif not issubclass(category, _OF_OUR_CODE):
            module = sys.modules.get(MODULE)
            name = getattr(module, "__file__", None) or "the action"
            with bounded():
                (file or sys.stderr).write(f"{name}: {category.__name__}: {message}\n")

    warnings.showwarning = show
