"""Describe what went wrong in a function, in the form in which Lambda takes it."""

from __future__ import annotations

import json
import os
import traceback

from hotwhisk.action.tracebacks import SERVER_FOLDER
from hotwhisk.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

EXITED: Final = "Runtime.ExitError"
TIMED_OUT: Final = "Sandbox.Timedout"

MOST_CAUSE: Final = 1 << 20
"""Most bytes of the cause for X-Ray. It is sent in a header."""

_OURS: Final = (SERVER_FOLDER, "<frozen importlib", f"{os.path.dirname(os.__file__)}/importlib/")


class Failure(Record):
    """An error of the function. ``cause`` is what X-Ray shows, as JSON; it may be empty."""

    type: str
    message: str
    stack: Sequence[str] = ()
    cause: str = ""

    def document(self, request_id: str = "") -> dict[str, object]:
        """Return the error as the platform takes it."""
        return {
            "errorMessage": self.message,
            "errorType": self.type,
            "requestId": request_id,
            "stackTrace": list(self.stack),
        }


def of_exception(error: BaseException, kind: str = "") -> Failure:
    """Return the failure for an exception of the function. ``kind`` replaces its type's name."""
    name = kind or type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    while frames and frames[0].filename.startswith(_OURS):
        del frames[0]
    message = _text(error)
    stack = [{"label": each.name, "path": each.filename, "line": each.lineno} for each in frames]
    cause = json.dumps(
        {
            "working_directory": os.getcwd(),
            "exceptions": [{"type": name, "message": message, "stack": stack}],
            "paths": list(dict.fromkeys(each.filename for each in frames)),
        }
    )
    shown = cause if len(cause) < MOST_CAUSE else ""
    return Failure(name, message, traceback.format_list(frames), shown)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - `__str__` is the user's code
        return ""
