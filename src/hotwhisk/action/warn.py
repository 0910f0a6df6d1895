"""
Show warnings under the action's file if Python would place them into a file of ours.

Python names the line that runs when Python notices the problem. A coroutine that is never awaited
or a file that is never closed is noticed when its last reference goes. This may happen in our call
of the handler. Such a warning is shown with the action's file. A warning of a deprecation in our
own code does not concern the action and is not shown.

docs/decisions.md says what was rejected.
"""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Final

from hotwhisk.action.tracebacks import MODULE, SERVER_FOLDER
from hotwhisk.openwhisk.sentinels import bounded

if TYPE_CHECKING:
    from typing import TextIO

_OF_OUR_CODE: Final = (DeprecationWarning, PendingDeprecationWarning)


def place_warnings() -> None:
    """Show warnings that would name a file of ours as warnings of the action from now on."""
    shown = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not filename.startswith(SERVER_FOLDER):
            shown(message, category, filename, lineno, file, line)
        elif not issubclass(category, _OF_OUR_CODE):
            module = sys.modules.get(MODULE)
            name = getattr(module, "__file__", None) or "the action"
            with bounded():
                (file or sys.stderr).write(f"{name}: {category.__name__}: {message}\n")

    warnings.showwarning = show
