"""Run ``hotwhisk doctor``: check whether this machine or container can run a server."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from hotwhisk.cli.terminal import Arguments
from hotwhisk.config.config import read_config
from hotwhisk.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hotwhisk.server.doctor import Check

VERSION = 1


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Try everything and print a line for each; 1 if something that is needed is missing."""
    given = parser().parse(argv)
    if not sys.platform.startswith("linux"):
        raise StartError("serve needs Linux, and so does what this would check")
    config = read_config(["--run-dir", given.run_dir] if given.run_dir else [], environ)
    from hotwhisk.server.doctor import FAILS, OK, run_checks

    checks = list(run_checks(config, environ))
    healthy = all(check.verdict != FAILS for check in checks)
    if given.json:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        found = [check._asdict() for check in checks]
        print(json.dumps({"version": VERSION, "at": at, "ok": healthy, "checks": found}, indent=2))
        return 0 if healthy else 1
    width = max(len(check.name) for check in checks)
    for check in checks:
        print(f"{check.verdict:5}  {check.name:{width}}  {_line_of(check)}")
    concerns = sum(check.verdict != OK for check in checks)
    print()
    if healthy:
        print("hotwhisk can serve here" + (f"; {concerns} to look at" if concerns else ""))
    else:
        print("hotwhisk cannot serve here: see what fails above")
    return 0 if healthy else 1


def parser() -> Arguments:
    """Return the parser of this command's arguments."""
    arguments = Arguments("doctor", "[OPTION]...")
    arguments.add_argument("--json", action="store_true", help="print the findings as JSON")
    arguments.add_argument(
        "--run-dir", metavar="FOLDER", help="the folder that a server would have"
    )
    return arguments


def _line_of(check: Check) -> str:
    parts = [" ".join(check.found.split())]
    parts += [check.cost] if check.cost else []
    parts += [f"do: {check.remedy}"] if check.remedy else []
    return " · ".join(parts)
