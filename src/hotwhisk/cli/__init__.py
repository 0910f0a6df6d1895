"""
The command line.

A command is one module with ``run(argv, environ) -> int``. It is imported when the command is
given, so that ``serve`` opens its port before large modules are imported.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

INTERRUPTED = 130  # what a shell reports for a command that Ctrl-C ended
BROKEN_PIPE = 141


def main(argv: Sequence[str], environ: MutableMapping[str, str] | None = None) -> int:
    """Run one command; return the exit code. Without ``environ``, use that of the process."""
    try:
        code = _dispatch(list(argv), os.environ if environ is None else environ)
        if sys.stdout is not None:  # a descriptor that was closed makes no stream
            sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        from hotwhisk.cli import terminal

        terminal.abandon_output()
        return BROKEN_PIPE
    except Exception as error:
        from hotwhisk.errors import HotwhiskError, UsageError

        if isinstance(error, ModuleNotFoundError) and str(error.name).startswith("hotwhisk."):
            error = UsageError(
                f"an artifact lacks this command or option: install hotwhisk for it ({error.name})"
            )
        if not isinstance(error, HotwhiskError):
            raise
        print(f"hotwhisk: {error}", file=sys.stderr)
        return error.exit_code
    return code


def _dispatch(argv: list[str], environ: MutableMapping[str, str]) -> int:
    if argv[:1] == ["help"] and argv[1:]:
        argv = [argv[1], "--help"]
    command = argv[0] if argv else "--help"
    if command == "serve":
        from hotwhisk.cli import serve

        return serve.run(argv[1:], environ)
    from hotwhisk.cli.command_names import COMMANDS, WITHOUT_PORT, module_of

    if command.partition("=")[0] in WITHOUT_PORT:
        command, argv = "proxy", ["proxy", *argv]
    if command in COMMANDS:
        from importlib import import_module

        code: int = import_module(module_of(command)).run(argv[1:], environ)
        return code
    from hotwhisk.cli import terminal

    return terminal.other(argv)
