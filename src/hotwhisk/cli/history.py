"""
Run ``hotwhisk history``: list the versions that were current, and which of them are kept.

As in `hotwhisk.cli.status`, keys that are missing in the answer are shown as a dash.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from hotwhisk.cli import control
from hotwhisk.cli.terminal import Arguments, show_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COLUMNS = ("generation", "digest", "since", "came by", "state")


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Ask the server and print its versions, the latest first."""
    given = parser().parse(argv)
    answer = control.ask("history", given, environ)
    print(json.dumps(answer, indent=2) if given.json else render(answer))
    return 0


def parser() -> Arguments:
    """Return the parser of this command's arguments."""
    arguments = Arguments("history", "[OPTION]...")
    arguments.add_argument("--json", action="store_true", help="print the answer as JSON")
    control.add_arguments(arguments)
    return arguments


def render(answer: Mapping[str, object]) -> str:
    """Return the answer as a table for people."""
    found = answer.get("versions")
    versions = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    if not versions:
        return "no version was current yet"
    rows = [_row(each, answer.get("generation")) for each in versions]
    lines = show_table([COLUMNS, *rows])
    if answer.get("folder") is None:
        lines.append("a restart forgets them; hotwhisk serve --state FOLDER keeps them")
    elif answer.get("problem"):
        lines.append(f"{answer['folder']}: {answer['problem']}")
    return "\n".join(lines)


def _row(version: Mapping[str, object], current: object) -> tuple[str, ...]:
    digest = str(version.get("digest") or "").removeprefix("sha256:")[:12]
    number, at = version.get("number"), version.get("at")
    since = "-"
    if isinstance(at, int | float):
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
    state = "kept" if version.get("kept") else "not kept"
    how = {"file": version.get("name"), "rollback": f"rollback to {version.get('rollback_of')}"}
    came = str(how.get(str(version.get("how")), version.get("how")) or "-")
    state = "current" if number == current else state
    return str(number), f"{digest}…" if digest else "-", since, came.rpartition("/")[2], state
