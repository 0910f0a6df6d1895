"""
Send the load of many clients while versions are replaced, and check the result of every request.

The load runs in a process of its own (``load_loop``), on one event loop that also posts the
versions. So "sent after the last acknowledged /init" is the order of two events in one thread, and
never a comparison of clocks.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .client import Address

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Plan:
    """
    What the load does; half of ``clients`` keep their connection, half open one per request.

    A replacement starts once ``between`` answers have come since the last one. Versions are
    ``first`` + 1 and so on; version ``first`` must be current already. ``command`` switches the
    version of a foreign server: "{n}" in it becomes the version; without it /init is posted.
    """

    address: Address
    clients: int = 64
    replacements: int = 200
    between: int = 128
    first: int = 1
    command: str = ""
    run_path: str = "/run"
    answer_timeout: float = 10.0
    deadline: float = 120.0


@dataclass
class Result:
    """
    The results of the requests; ``clean`` if nothing went wrong.

    lost: no answer came (end of stream, reset, or none in time). stale: answered by a version older
    than the last acknowledged one at the time of sending. wrong: any other answer than the expected
    one. reconnects: kept connections that had to be opened again.
    """

    answered: int = 0
    refused: int = 0
    lost: int = 0
    stale: int = 0
    wrong: int = 0
    reconnects: int = 0
    kept: int = 0
    kept_same: int = 0
    replacements: int = 0
    failed_replacements: int = 0
    duration: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    longest_replacement: float = 0.0
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Keep the first few examples of what went wrong."""
        if len(self.notes) < 12:
            self.notes.append(text)

    def problems(self, plan: Plan) -> list[str]:
        """Return why this result is not clean, as texts; empty if it is."""
        found = [
            f"{count} {what}"
            for what, count in (
                ("refused", self.refused),
                ("lost", self.lost),
                ("stale", self.stale),
                ("wrong", self.wrong),
                ("reconnects of kept connections", self.reconnects),
                ("replacements that failed", self.failed_replacements),
            )
            if count
        ]
        if self.replacements < plan.replacements:
            found.append(f"{self.replacements} of {plan.replacements} replacements done")
        if self.kept_same < self.kept:
            found.append(f"{self.kept_same} of {self.kept} kept connections still the same")
        if self.answered < plan.clients:
            found.append(f"only {self.answered} answers for {plan.clients} clients")
        return found + (self.notes if found else [])


def run_load(plan: Plan) -> Result:
    """Run the load and return its result."""
    timeout = plan.deadline + 3 * plan.answer_timeout
    return Result(**run_module("tests.support.load_loop", asdict(plan), timeout))


def run_module(module: str, plan: dict[str, Any], timeout: float) -> dict[str, Any]:
    """Run a module in a new process with a plan on stdin; return what it prints. Both are JSON."""
    finished = subprocess.run(
        [sys.executable, "-m", module],
        input=json.dumps(plan),
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        timeout=timeout,
        check=True,
    )
    result: dict[str, Any] = json.loads(finished.stdout)
    return result
