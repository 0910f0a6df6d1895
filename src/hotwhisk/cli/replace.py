"""Run ``hotwhisk replace``: post a version to a running server, so that it becomes current."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from hotwhisk.artifact.manifest import action_name
from hotwhisk.cli.client import add_arguments, find_server, refusal
from hotwhisk.cli.code import read_code
from hotwhisk.cli.terminal import Arguments, show_duration, show_generation
from hotwhisk.cli.trial import Progress, wanted
from hotwhisk.cli.trial import add_arguments as add_trial_arguments
from hotwhisk.errors import ServerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hotwhisk.cli.client import Answer, RemoteServer


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Post FILE and print which generation is current now."""
    given = parser().parse(argv)
    code, binary = read_code(given.file)
    trial = wanted(given)
    value = {
        "name": action_name(Path(given.file)),
        "main": given.main,
        "code": code,
        "binary": binary,
        "env": _variables(given.env),
    }
    server = find_server(given, environ, replaces=True)
    if trial is None:
        answer = server.post("/init", {"value": value})
    else:
        answer = _try(server, {"value": {**value, "trial": trial}}, environ)
    if answer.status != 200:
        why = refusal(answer) if binary else _with_name(refusal(answer), given.file)
        none = "there is no current version" if answer.number in (None, "0") else ""
        raise ServerError(f"not replaced: {why}\n{none or 'the current version goes on'}")
    generation = show_generation(answer.number or "?", answer.digest)
    print(f"replaced: {generation} in {show_duration(answer.seconds)}{server.found}")
    if trial is not None:
        print(_verdict(answer.body))
    return 0


def parser() -> Arguments:
    """Return the parser of this command's arguments."""
    arguments = Arguments("replace", "[OPTION]... FILE")
    arguments.add_argument("file", metavar="FILE", help="a .py file, a folder, a zip, an artifact")
    arguments.add_argument("--main", default="main", metavar="NAME", help="the handler (main)")
    add_arguments(arguments)
    add_trial_arguments(arguments)
    arguments.add_argument(
        "-e",
        "--env",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a variable for the action; may be repeated",
    )
    return arguments


def _try(server: RemoteServer, payload: object, environ: Mapping[str, str]) -> Answer:
    """Post a version that asks for a trial, and show how that goes."""
    progress = Progress(server.url, environ)
    try:
        return server.post("/init", payload, progress.show)
    finally:
        progress.close()


def _verdict(body: bytes) -> str:
    """Return the verdict of a trial in the answer; another text if the server knows no trials."""
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    verdict = answer.get("trial") if isinstance(answer, dict) else None
    return str(verdict or "no trial: the server is older than this command")


def _with_name(text: str, file: str) -> str:
    """
    Return a text with the real name of a single file.

    The server knows such a file as ``main__.py``.
    """
    return re.sub(r"(?:[^\s\"]*/)?\bmain__\.py\b", lambda _: Path(file).name, text)


def _variables(given: Sequence[str]) -> dict[str, str]:
    variables = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise UsageError(f'-e: expected KEY=VALUE, got "{pair}"')
        variables[key] = value
    return variables
