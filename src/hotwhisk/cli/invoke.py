"""
``hotwhisk invoke``: call the current action.

The body goes to standard output as it came, so that it can be piped. The generation, the time and
errors go to standard error.

With ``--activation`` the call is made as the platform's invoker would make it, and the activation
record is printed.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hotwhisk.cli.client import (
    Answer,
    RemoteServer,
    add_arguments,
    error_text,
    find_server,
    split_url,
)
from hotwhisk.cli.terminal import Arguments, show_duration, show_generation
from hotwhisk.errors import ServerError, UsageError
from hotwhisk.openwhisk.answers import ANSWERS, Cause

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

_NO_ACTION = [text for _, text in ANSWERS[Cause.NO_ACTION].values()]


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """
    Post the parameters to /run; return 0 if the answer was 200, else 1.

    With ``--activation``, return 0 if the activation is a success.
    """
    given = parser().parse(argv)
    value = parameters_of(given.given)
    server = find_server(given, environ)
    if given.activation is not None:
        return _replay(given.activation, server, value)
    answer = server.post("/run", {"value": value})
    _show(answer)
    if error_text(answer.body) in _NO_ACTION:
        command = f"hotwhisk replace{_server_flags(given)} FILE"
        print(f"this server has no action yet; post one: {command}", file=sys.stderr)
    return 0 if answer.status == 200 else 1


def parser() -> Arguments:
    """Return the parser of this command's arguments."""
    arguments = Arguments("invoke", "[-p KEY VALUE]... [-P FILE.json]... [OPTION]...")
    add_parameters(arguments)
    add_arguments(arguments)
    arguments.add_argument(
        "--activation",
        metavar="FILE",
        help="call as the platform would what FILE describes (an activation record, or the "
        "bodies of /init and /run) and print the activation record",
    )
    return arguments


def add_parameters(arguments: Arguments) -> None:
    """Add ``-p`` and ``-P``, whose values `parameters_of` reads from ``given``."""
    arguments.add_argument(
        "-p",
        "--param",
        nargs=2,
        action="append",
        dest="given",
        default=[],
        metavar=("KEY", "VALUE"),
        help="a parameter: JSON if VALUE is JSON, else a string; later ones win",
    )
    arguments.add_argument(
        "-P",
        "--param-file",
        action="append",
        dest="given",
        metavar="FILE.json",
        help="parameters from a JSON object in a file, or a whole event that is an array; "
        "- is standard input",
    )


def _replay(name: str, server: RemoteServer, given: Mapping[str, object] | list[object]) -> int:
    """Make the activation of a file again. Given parameters replace those in the file."""
    if server.token is not None:
        raise UsageError("--activation calls as the platform does, which has no token to send")
    from hotwhisk.platform import activation_from, replay

    value = activation_from(name).value
    if isinstance(given, list):
        value = given
    elif given:
        if not isinstance(value, dict):
            raise UsageError(f"{name} holds an array, to which -p and -P cannot add")
        value = {**value, **given}
    _require_listener(server.url)
    record = replay(name, server.url, value=value)
    print(json.dumps(record, indent=2, ensure_ascii=False))
    return 0 if record["statusCode"] == 0 else 1


def _require_listener(url: str) -> None:
    """
    Raise ServerError if no process listens at a URL.

    The platform tries again for as long as an action may run; a person wants to know at once.
    """
    parts = split_url(url)
    if parts.scheme != "http":
        raise UsageError("--activation calls as the platform does, over http only")
    try:
        socket.create_connection((str(parts.hostname), parts.port or 80), 10.0).close()
    except OSError as error:
        raise ServerError(
            f"nothing listens on {url} ({error.strerror or error}); "
            "start one with: hotwhisk serve FILE"
        ) from None


def parameters_of(given: Sequence[str | list[str]]) -> dict[str, object] | list[object]:
    """Return what ``-p`` and ``-P`` give; the later one wins."""
    value: dict[str, object] = {}
    for item in given:
        if not isinstance(item, str):
            value[item[0]] = _json_or_text(item[1])
            continue
        event = _read_event(item)
        if isinstance(event, dict):
            value |= event
        elif len(given) == 1:
            return event
        else:
            raise UsageError(f"-P {item}: an array is a whole event; it cannot be joined to others")
    return value


def _json_or_text(raw: str) -> object:
    try:
        value: object = json.loads(raw)
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return raw
    return value


def _read_event(name: str) -> dict[str, object] | list[object]:
    """Return the event in a file, in every form that a ``/run`` takes."""
    try:
        raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        value = json.loads(raw)  # from bytes, `json` detects a byte order mark
        json.dumps(value, allow_nan=False)
    except OSError as error:
        raise UsageError(f"-P {name} cannot be read: {error.strerror}; give another file") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"-P {name}: expected a JSON object or array: {error}") from None
    if not isinstance(value, dict | list):
        raise UsageError(f"-P {name}: expected a JSON object or array, got {json.dumps(value)}")
    return value


def _server_flags(given: argparse.Namespace) -> str:
    """Return the flags with which another command reaches the same server."""
    values = {"--url": given.url, "--port": given.port, "--token-file": given.token_file}
    named = {flag: str(value) for flag, value in values.items() if value is not None}
    return "".join(f" {flag} {shlex.quote(value)}" for flag, value in named.items())


def _is_read_with_errors() -> bool:
    """Return whether standard output is a terminal, or goes where standard error goes."""
    try:
        return sys.stdout.isatty() or os.path.sameopenfile(1, 2)
    except OSError:  # one of them is closed
        return False


def _show(answer: Answer) -> None:
    out = sys.stdout.buffer
    out.write(answer.body)
    if _is_read_with_errors() and not answer.body.endswith(b"\n"):
        out.write(b"\n")
    out.flush()
    status = "" if answer.status == 200 else f"status {answer.status} · "
    generation = show_generation(answer.number or "?", answer.digest)
    print(f"{status}{generation} · {show_duration(answer.seconds)} · {answer.url}", file=sys.stderr)
    error = error_text(answer.body)
    if error is not None:
        print(f"error: {error}", file=sys.stderr)
