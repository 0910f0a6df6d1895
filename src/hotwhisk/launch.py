"""
``start(handler)``: a user's file becomes a server.

Run directly, the process is replaced by a fresh interpreter, started the same way, that runs
``hotwhisk serve`` on the file; in a worker of that server the file runs a second time, and
there ``start`` hands over the handler. A fresh interpreter, because the supervisor forks: it
must not carry the threads, locks and imports that the file made above ``start``. Code above
``start`` so runs twice, once in each.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from hotwhisk.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WITH_VALUE = "WX"
ENDS = "mc"
_TAG = "HOTWHISK_WORKER"
"""The variable that marks processes of an action."""

NO_FILE = (
    "start() needs a file that can be run again, and there is none here (a REPL, -c, standard "
    "input); put the handler into a file and run: python FILE"
)


def start(handler: Callable[..., Any]) -> None:
    """
    Serve this handler: put it at the end of a file and run the file.

    Options of ``hotwhisk serve`` may follow the file, ``python hello.py --port 9000``; variables
    such as PORT and HOTWHISK_WORKERS are honoured.
    """
    if not callable(handler):
        raise UsageError(
            f"start() expected a function, got {type(handler).__name__}: "
            "pass the handler itself, start(main), not what it returns"
        )
    # Only a worker has it, and has it before any user code.
    if "hotwhisk.action.action" in sys.modules:
        from hotwhisk.action.action import hand_over

        hand_over(handler)
        return
    caller = sys._getframe(1).f_globals.get("__name__")
    if caller != "__main__" and (caller == "__mp_main__" or _TAG in os.environ):
        return  # a child process of an action imports the file for what it defines
    _become_server(caller)


def interpreter_flags(orig_argv: Sequence[str]) -> tuple[list[str], str, list[str]]:
    """
    Take an interpreter's command line apart by CPython's grammar.

    Returns its flags; how the program was given: ``m``, ``c``, or an empty text for a file; and
    the rest, whose first item is the module, the command or the file.
    """
    flags: list[str] = []
    rest = list(orig_argv[1:])
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word.startswith("--"):
            flags.append(word)
            if word == "--check-hash-based-pycs" and rest:
                flags.append(rest.pop(0))
            continue
        for at, letter in enumerate(word[1:], 1):
            if letter in ENDS:
                flags += [word[:at]] if at > 1 else []
                attached = word[at + 1 :]
                return flags, letter, [attached, *rest] if attached else rest
            if letter in WITH_VALUE:
                flags.append(word)
                flags += [rest.pop(0)] if at == len(word) - 1 and rest else []
                break
        else:
            flags.append(word)
    return flags, "", rest


def server_command(orig_argv: Sequence[str], spec_name: str | None, file: str | None) -> list[str]:
    """
    The arguments of the interpreter that serves what this command line ran.

    ``spec_name`` is the name in ``__main__.__spec__``, which is None for a plain file; ``file``
    is ``__main__.__file__``.
    """
    flags, how, rest = interpreter_flags(orig_argv)
    if how == "c" or not file or not rest or rest[0] == "-":
        raise UsageError(NO_FILE)
    safe = [] if "-P" in flags else ["-P"]  # or a json.py beside the file would be the server's
    command = [*flags, *safe, "-m", "hotwhisk", "serve", *rest[1:]]
    if how == "m" and spec_name:
        return [*command, "--module", spec_name.removesuffix(".__main__")]
    return [*command, "--", rest[0] if spec_name else file]


def _become_server(caller: object) -> NoReturn:
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    command = server_command(
        sys.orig_argv, spec.name if spec is not None else None, getattr(main, "__file__", None)
    )
    if caller != "__main__":
        raise UsageError(
            f"start() was called in {caller}, which was imported, not run; run that file "
            'directly, and put start() under: if __name__ == "__main__":'
        )
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os.execv(sys.executable, [sys.executable, *command])  # noqa: S606  # a list, no shell
