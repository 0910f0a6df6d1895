"""
Make a server of a user's file: ``start(handler)``.

If the file is run directly, the process is replaced by a fresh interpreter, started the same way,
that runs ``hotwhisk serve`` on the file. In a worker of that server the file runs a second time,
and there ``start`` registers the handler. A fresh interpreter is needed because the supervisor
forks: it must not have the threads, locks and imports that the file made above ``start``. So code
above ``start`` runs once in each of them.
"""

from __future__ import annotations

import os
import sys
from posix import execv

from hotwhisk.config.platform import TAG_VARIABLE
from hotwhisk.errors import UsageError
from hotwhisk.record import Record
from hotwhisk.registration import HandlerSlot, register_handler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, NoReturn

WITH_VALUE = "WX"
ENDS = "mc"

NO_FILE = (
    "start() needs a file that can be run again, and there is none here (a REPL, -c, standard "
    "input); put the handler into a file and run: python FILE"
)

UNDER = (
    "hotwhisk: {program} runs {file}, but not the server that start() makes of it; "
    "docs/debugging.md says how to look into that\n"
)


def start(handler: Callable[..., Any]) -> None:
    """
    Serve this handler: call it at the end of a file, and run the file.

    Options of ``hotwhisk serve`` may follow the file, ``python hello.py --port 9000``. Variables
    such as PORT and HOTWHISK_WORKERS are used too.
    """
    if not callable(handler):
        raise UsageError(
            f"start() expected a function, got {type(handler).__name__}: "
            "pass the handler itself, start(main), not what it returns"
        )
    if HandlerSlot.in_server:
        register_handler(handler)
    caller = sys._getframe(1).f_globals
    name = caller.get("__name__")
    if name != "__main__" and (name == "__mp_main__" or TAG_VARIABLE in os.environ):
        return  # a child process of an action imports the file for its definitions
    _become_server(caller)


def interpreter_flags(orig_argv: Sequence[str]) -> tuple[list[str], str, list[str]]:
    """
    Take an interpreter's command line apart by CPython's grammar.

    Return its flags; how the program was given: ``m``, ``c``, or an empty text for a file; and the
    rest, whose first item is the module, the command or the file.
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


class Started(Record):
    """
    Describes how the code that calls ``start`` was run.

    It has the command line of the interpreter, ``sys.argv``, and two globals of the caller:
    ``__file__``, and the name in ``__spec__``. A global that is missing is empty here.
    """

    orig_argv: Sequence[str]
    argv: Sequence[str]
    file: str
    spec: str = ""


def server_command(started: Started) -> tuple[list[str], str]:
    """
    Return the arguments of an interpreter that serves the running code, and a program's name.

    The name is that of the program that ran the code, such as ``pdb``. It is empty if the
    interpreter ran the code itself. The arguments of that program are its own. The arguments that
    it left in ``sys.argv`` are for the server.
    """
    flags, how, rest = interpreter_flags(started.orig_argv)
    if not started.file or not rest or rest[0] == "-":
        raise UsageError(NO_FILE)
    safe = [] if "-P" in flags else ["-P"]  # else a json.py beside the file would be imported
    command = [*flags, *safe, "-m", "hotwhisk", "serve"]
    module = started.spec.removesuffix(".__main__")
    direct = rest[0] == module if how else _is_run(rest[0], started)
    command += rest[1:] if direct else started.argv[1:]
    if module not in ("", "__main__"):
        command += ["--module", module]
    elif direct:
        command += ["--", rest[0] if module else started.file]
    else:
        command += ["--", os.path.abspath(started.file)]
    program = "" if direct else "python -c" if how == "c" else os.path.basename(rest[0])
    return command, program


def _is_run(path: str, started: Started) -> bool:
    """
    Return whether the interpreter runs this path of its command line.

    The path may be the file, or the folder or zip that holds it. Only names are compared, because
    the file may have changed the working directory since.
    """
    file = os.path.dirname(started.file) if started.spec else started.file
    return os.path.basename(os.path.abspath(path)) == os.path.basename(os.path.abspath(file))


def _become_server(caller: Mapping[str, Any]) -> NoReturn:
    spec = caller.get("__spec__")
    name = str(caller.get("__name__"))
    file = str(caller.get("__file__") or "")
    command, program = server_command(
        Started(sys.orig_argv, sys.argv, file, spec.name if spec is not None else "")
    )
    if name != "__main__":
        raise UsageError(
            f"start() was called in {name}, which was imported, not run; run that file "
            'directly, and put start() under: if __name__ == "__main__":'
        )
    if program:
        sys.stderr.write(UNDER.format(program=program, file=os.path.basename(file)))
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    # A debugger replaces `os.execv` by a function that waits for its other process.
    execv(sys.executable, [sys.executable, *command])  # a list needs no shell
