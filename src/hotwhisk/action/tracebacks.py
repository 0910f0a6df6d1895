"""
Print exceptions and warnings of the user's code for its author, without the server's own frames.

Python gives a warning the line that runs when Python notices the problem. A coroutine that is never
awaited or a file that is never closed is noticed when its last reference goes. This may happen in
our call of the handler. Such a warning is shown with the action's file. A warning of a deprecation
in our own code does not concern the action and is not shown.
"""

from __future__ import annotations

import os
import sys
import types
import warnings
from errno import EADDRINUSE

from hotwhisk.action.isolation import server_modules
from hotwhisk.action.signature import CALLER
from hotwhisk.errors import debugger_hint
from hotwhisk.openwhisk.sentinels import bounded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, TextIO

MODULE: Final = "main__"
"""The official runtime's name of the action's module; actions import it by that name."""

PORT_HINT: Final = (
    "During a replacement the old and the new version are alive at once, so a port that both bind "
    "is taken: bind port 0, or set SO_REUSEPORT, or bind it outside the action"
)
_MOST_CAUSES: Final = 16
_OF_OUR_CODE: Final = (DeprecationWarning, PendingDeprecationWarning)
SERVER_FOLDER: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep
"""The folder of this package, or the path of it in an artifact."""

_OURS: Final = (
    SERVER_FOLDER,
    "<frozen importlib",
    "<frozen runpy",
    f"{os.path.dirname(os.__file__)}/asyncio/base_events.py",  # the server calls it for awaitables
)

_LIBRARIES: Final = frozenset(("site-packages", "dist-packages", "virtualenv", ".venv", "venv"))


def print_error(error: BaseException) -> str:
    """
    Print the traceback of an exception to stderr without the server's own frames.

    Return what was printed; an empty text if the interpreter itself had to print it.
    """
    text = ""
    frame = error.__traceback__
    while frame is not None and _is_ours(frame.tb_frame.f_code):
        frame = frame.tb_next
    try:
        text = _formatted(error, frame)
        if hint := debugger_hint(error):
            text += f"{hint}\n"
        with bounded():
            sys.stderr.write(text)
    except Exception:  # noqa: BLE001 - an exception, or a stream, of the user's that cannot be printed
        try:
            with bounded():
                sys.stderr.write(f"{type(error).__name__}: its traceback could not be printed\n")
        except Exception:  # noqa: BLE001 - the action closed the stream
            pass
    return text


def _formatted(error: BaseException, frame: types.TracebackType | None) -> str:
    """
    Return the traceback of an exception as text.

    `traceback` is imported here, since it and what it imports would cost each process a third of a
    megabyte. If no descriptor is free for that, the interpreter itself prints the traceback.
    """
    with server_modules():
        try:
            import traceback
        except (OSError, ImportError):
            with bounded():
                sys.__excepthook__(type(error), error, frame)
            return ""
        return "".join(traceback.format_exception(type(error), error, frame))


def text_of_syntax_error(error: SyntaxError) -> str:
    """Return the line with the error, with a mark below it, and what is wrong."""
    with server_modules():
        import traceback  # as in `_formatted`

        return "".join(traceback.format_exception_only(error)).strip()


def place_of(error: BaseException) -> str:
    """
    Return where in the action's own files an exception was raised, as "hello.py:7".

    If the action's files have no part in it, return the last place outside the server. If there is
    no such place, return an empty text.
    """
    entry = getattr(sys.modules.get(MODULE), "__file__", None) or ""
    folder = os.path.dirname(entry) + os.sep
    place = own = ""
    frame = error.__traceback__
    while frame is not None:
        name = frame.tb_frame.f_code.co_filename
        if not name.startswith(_OURS):
            folder = folder if entry else os.path.dirname(name) + os.sep
            entry = entry or name
            place = f"{os.path.basename(name)}:{frame.tb_lineno}"
            inner = name.removeprefix(folder)
            if inner != name and not _LIBRARIES.intersection(inner.split(os.sep)):
                own = f"{inner}:{frame.tb_lineno}"
        frame = frame.tb_next
    return own or place


def _is_ours(code: types.CodeType) -> bool:
    return code.co_name == CALLER or code.co_filename.startswith(_OURS)


def print_exit(error: SystemExit) -> None:
    """Print what Python prints for ``sys.exit("no data base")``: the text; nothing for a number."""
    if error.code is not None and not isinstance(error.code, int):
        try:
            with bounded():
                sys.stderr.write(f"{error.code}\n")
        except Exception:  # noqa: BLE001 - a text, or a stream, of the user's that cannot be printed
            pass


def _finds_port_taken(error: BaseException | None) -> bool:
    """Return whether a port that is bound already is among the causes of this exception."""
    for _ in range(_MOST_CAUSES):
        if error is None:
            return False
        if isinstance(error, OSError) and error.errno == EADDRINUSE:
            return True
        error = error.__cause__ or error.__context__
    return False


def text_of(error: BaseException) -> str:
    """Return the text of an exception, even if its ``__str__`` raises."""
    try:
        text = debugger_hint(error) or str(error)
        taken = os.strerror(EADDRINUSE) in text or _finds_port_taken(error)
        return f"{text}. {PORT_HINT}" if taken else text
    except Exception:  # noqa: BLE001 - the user's code
        return "(no text)"


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
