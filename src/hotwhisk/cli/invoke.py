"""
``hotwhisk invoke``: call the action in charge.

The body goes to standard output as it came, so that it can be piped; which generation
answered, how fast, and what went wrong go to standard error.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hotwhisk.cli.client import Answer, error_text, find_server
from hotwhisk.cli.terminal import Arguments, show_duration, show_generation
from hotwhisk.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """
    Post the parameters to /run; 0 if the answer was 200, else 1.
    """
    parser = Arguments("invoke", "[-p KEY VALUE]... [-P FILE.json]... [OPTION]...")
    parser.add_argument(
        "-p",
        "--param",
        nargs=2,
        action="append",
        dest="given",
        default=[],
        metavar=("KEY", "VALUE"),
        help="a parameter: JSON if VALUE is JSON, else a string; later ones win",
    )
    parser.add_argument(
        "-P",
        "--param-file",
        action="append",
        dest="given",
        metavar="FILE.json",
        help="parameters from a JSON object in a file; - is standard input",
    )
    parser.add_argument("--url", help="the server (http://127.0.0.1:8080, or HOTWHISK_URL)")
    parser.add_argument("--token-file", metavar="PATH", help="file with the token of the server")
    given = parser.parse(argv)
    value = _parameters(given.given)
    answer = find_server(given.url, given.token_file, environ).post("/run", {"value": value})
    _show(answer)
    return 0 if answer.status == 200 else 1


def _parameters(given: Sequence[str | list[str]]) -> dict[str, object]:
    value: dict[str, object] = {}
    for item in given:
        if isinstance(item, str):
            value |= _read_object(item)
        else:
            value[item[0]] = _json_or_text(item[1])
    return value


def _json_or_text(raw: str) -> object:
    try:
        value: object = json.loads(raw)
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return raw
    return value


def _read_object(name: str) -> dict[str, object]:
    try:
        raw = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        value = json.loads(raw)
        json.dumps(value, allow_nan=False)
    except OSError as error:
        raise UsageError(f"-P {name}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"-P {name}: expected a JSON object: {error}") from None
    if not isinstance(value, dict):
        raise UsageError(f"-P {name}: expected a JSON object, got {type(value).__name__}")
    return value


def _show(answer: Answer) -> None:
    out = sys.stdout.buffer
    out.write(answer.body)
    if sys.stdout.isatty() and not answer.body.endswith(b"\n"):
        out.write(b"\n")
    out.flush()
    status = "" if answer.status == 200 else f"status {answer.status} · "
    generation = show_generation(answer.number or "?", answer.digest)
    print(f"{status}{generation} · {show_duration(answer.seconds)} · {answer.url}", file=sys.stderr)
    error = error_text(answer.body)
    if error is not None:
        print(f"error: {error}", file=sys.stderr)
