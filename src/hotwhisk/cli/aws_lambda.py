"""Run ``hotwhisk lambda``: be the runtime of a function in AWS Lambda."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING

from hotwhisk.aws_lambda.lambda_settings import read_settings
from hotwhisk.cli.terminal import Arguments, open_streams
from hotwhisk.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Handle the platform's events until a signal comes; return the exit code."""
    open_streams()  # or a connection would get the number of one of them
    given = parser().parse(argv)
    if not sys.platform.startswith("linux"):
        raise StartError("hotwhisk lambda needs Linux, as Lambda has it; run it in a container")
    artifact = os.path.abspath(given.artifact) if given.artifact else ""
    settings = read_settings(given.handler, environ, artifact)
    if sys.path[0] in ("", os.getcwd()):
        # `python -m hotwhisk` put it there, but a secrets.py of the function is not ours.
        del sys.path[0]
    gc.disable()  # as for serve
    from hotwhisk.aws_lambda import lambda_runtime  # it imports the server

    gc.freeze()  # the server is forked, and a collection on either side would copy what they share
    gc.enable()
    return lambda_runtime.run(settings, environ)


def parser() -> Arguments:
    """Return the parser of this command's arguments."""
    arguments = Arguments("lambda", "[HANDLER] [--artifact FILE]")
    arguments.add_argument(
        "handler",
        nargs="?",
        metavar="HANDLER",
        help="the function as MODULE.FUNCTION, such as app.handler (the variable _HANDLER)",
    )
    arguments.add_argument(
        "--artifact",
        default="",
        metavar="FILE",
        help="a file that hotwhisk build made: the function is in it, and without HANDLER it is "
        "the handler that the build named",
    )
    arguments.epilog = (
        "The platform, or its emulator, sets AWS_LAMBDA_RUNTIME_API and what else is needed."
    )
    return arguments
