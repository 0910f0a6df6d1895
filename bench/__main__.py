"""``python -m bench``: measure hotwhisk beside the reference; print bars, ratios and verdicts."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from tests.support.wire import ClientError

from . import (
    against,
    aws_lambda,
    container,
    fresh,
    life,
    memory,
    openwhisk,
    plot,
    requests,
    saves,
    up,
)
from .report import HEADER, Row

GROUPS = {
    "small": requests.small,
    "large": requests.large,
    "rows": requests.small_values,
    "throughput": requests.throughput,
    "workers": requests.workers,
    "cpu": requests.processor,
    "platform": openwhisk.profile,
    "bridge": openwhisk.bridge,
    "init": life.replacements,
    "death": life.deaths,
    "fresh": fresh.runs,
    "start": life.starts,
    "memory": memory.after_runs,
    "container-memory": memory.in_container,
    "big-init": memory.big_init,
    "up": up.gateway,
    "save": saves.saves,
}
ON_DEMAND = {"container": container.containers, "lambda": aws_lambda.rows}
"""Measurements that need more than this machine's Python; they run only if they are named."""
FAILURES = (RuntimeError, AssertionError, ClientError, OSError, subprocess.SubprocessError)


def options() -> argparse.ArgumentParser:
    """Return the reader of the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the requests")
    parser.add_argument("--only", action="append", choices=GROUPS | ON_DEMAND, default=[])
    parser.add_argument(
        "--against", action="append", type=against.Other.parse, default=[], metavar="NAME=URL",
        help="measure a server that runs there beside ours; other rows only with --only",
    )  # fmt: skip
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw the plots, and measure nothing else"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every value there")
    parser.add_argument("--strict", action="store_true", help="fail when a bar is missed")
    return parser


def main(argv: list[str]) -> int:
    """
    Run the chosen measurements.

    Return 1 if something could not be measured, and with ``--strict`` if a bar is missed.
    """
    arguments = options().parse_args(argv)
    # An installed package has its bytecode. Without it a start would compile every module again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    machine = (
        f"{platform.python_implementation()} {platform.python_version()}, "
        f"Linux {platform.release()}, {os.cpu_count()} cores; medians of rounds"
    )
    print(machine)
    scale = 0.1 if arguments.quick else 1.0
    if arguments.plot:
        arguments.plot.write_text(plot.plots(scale, arguments.against, machine))
        return 0
    print(HEADER)
    rows: list[Row] = []
    failed: list[str] = []
    compared = against.groups(arguments.against)
    groups = GROUPS | ON_DEMAND | compared
    for name in [*arguments.only, *compared] or GROUPS:
        try:
            for row in groups[name](scale):
                print(row.line(), flush=True)
                rows.append(row)
        except FAILURES as error:
            failed.append(name)
            print(f"{name}: could not be measured: {type(error).__name__}: {error}")
    barred = [row for row in rows if row.bar]
    missed = [row for row in barred if row.verdict == "MISSED"]
    if barred:
        print(f"{len(barred) - len(missed)} of {len(barred)} bars met")
    if arguments.json:
        written = {"machine": machine, "rows": [row.as_json() for row in rows]}
        arguments.json.write_text(json.dumps(written, indent=2) + "\n")
    return 1 if failed or (arguments.strict and missed) else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
