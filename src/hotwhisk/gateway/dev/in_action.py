"""
The part of ``hotwhisk dev`` that runs in the worker of an action, before the action is loaded.

A version of ``hotwhisk dev`` begins with a call of `begin`. Everything here must leave the action
as it is on the platform, but for ``breakpoint()``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any, Final, TextIO, cast

from hotwhisk.action.isolation import server_modules

_WRITING: Final = frozenset("wax+")
_EVENTS: Final = frozenset({"compile", "open"})
_SOURCES: Final = (".py", ".pyc", ".so")
"""The ends of files that count if they are imported, and not if they are only opened for that."""


def begin(action: str, root: str, reports: str, terminal: str = "", debugger: int = 0) -> None:
    """
    Prepare this process for an action.

    Which files below ``root`` it opens or imports is written to the named pipe ``reports``.
    ``terminal`` is the terminal that ``breakpoint()`` talks to. ``debugger`` is the port at which
    `DebuggerRelay` waits for workers. Empty values mean that there is none.
    """
    sys.addaudithook(_reporter(action, root, reports))
    if terminal and os.environ.get("PYTHONBREAKPOINT") is None:
        sys.breakpointhook = _breakpoints(terminal)
    if debugger:
        from hotwhisk.gateway.dev.debuggee import listen_on_startup

        listen_on_startup(debugger)


def _reporter(action: str, root: str, reports: str) -> Callable[[str, tuple[Any, ...]], None]:
    """Return an audit hook that reports each file that is used, once, and once more if written."""
    below = root + os.sep
    told: set[tuple[str, bool]] = set()

    def report(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _EVENTS:
            return
        path, written = _file_of(event, arguments)
        try:
            path = os.path.normpath(os.path.join(os.getcwd(), path)) if path else ""
            if path.startswith(below) and path != reports and (path, written) not in told:
                line = {"action": action, "path": path, "written": written}
                _write(reports, json.dumps(line).encode() + b"\n")
                told.add((path, written))
        except OSError:  # hotwhisk dev has ended, or the working directory is gone
            pass

    return report


def _file_of(event: str, arguments: tuple[Any, ...]) -> tuple[str, bool]:
    """Return the path that an event is about, and whether the file is written; or an empty path."""
    if event == "compile":  # of a module that is imported
        path, written = arguments[1], False
    else:
        path, mode, flags = arguments
        written = bool(_WRITING.intersection(mode or "") or flags & (os.O_WRONLY | os.O_RDWR))
    if not isinstance(path, str | bytes):
        return "", False
    name = os.fsdecode(path)
    is_source = name.endswith(_SOURCES)
    return ("" if is_source == (event == "open") else name), written


def _write(pipe: str, line: bytes) -> None:
    """Write to a named pipe at once, or raise OSError. A short line is never mixed with another."""
    descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def _breakpoints(terminal: str) -> Callable[..., None]:
    """Return the function that ``breakpoint()`` calls: a debugger on that terminal."""

    def stop(*_: object, **__: object) -> None:
        with server_modules():  # the action may have a module `cmd` or `code` of its own
            import pdb  # noqa: T100 - what breakpoint() asks for

        class Debugger(pdb.Pdb):
            """Lets the request go on where pdb would end it."""

            do_q = do_quit = do_exit = do_EOF = pdb.Pdb.do_continue  # noqa: N815 - pdb's names

        debugger = Debugger(
            stdin=_open(terminal, "r"), stdout=_open(terminal, "w"), nosigint=True,
            skip=["hotwhisk.*"],
        )  # fmt: skip
        debugger.set_trace(sys._getframe(1))

    return stop


def _open(terminal: str, mode: str) -> TextIO:
    """Open a terminal, without making it the one that sends signals to this process."""

    def open_it(path: str, flags: int) -> int:
        return os.open(path, flags | os.O_NOCTTY)

    return cast("TextIO", open(terminal, mode, encoding="utf-8", opener=open_it))
