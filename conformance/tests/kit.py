"""Run the kit as people do, as a command, and read what it wrote."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SERVERS = HERE / "servers"
SOURCE = HERE.parent / "src"


def server(name: str, *words: str) -> str:
    """Return the command line of one of our servers."""
    return shlex.join([sys.executable, "-E", "-S", str(SERVERS / f"{name}.py"), *words])


@dataclass(frozen=True)
class Result:
    """
    The output of the kit: its exit code, its table, and the outcome of each case from
    the JUnit.
    """

    code: int
    output: str
    outcomes: dict[str, str]

    def having(self, outcome: str) -> set[str]:
        return {case for case, found in self.outcomes.items() if found.partition(":")[0] == outcome}


def run_kit(*arguments: str) -> Result:
    """Run the kit; servers unpack into a folder that is removed with it."""
    with tempfile.TemporaryDirectory() as folder:
        junit = Path(folder, "junit.xml")
        done = subprocess.run(
            [sys.executable, "-m", "hotwhisk_conformance", "--junit", str(junit), *arguments],
            capture_output=True,
            check=False,
            text=True,
            env={**os.environ, "PYTHONPATH": str(SOURCE), "FOLDER": folder},
            cwd=folder,
            timeout=600,
        )
        outcomes = read_junit(junit) if junit.exists() else {}
        return Result(done.returncode, done.stdout + done.stderr, outcomes)


def read_junit(path: Path) -> dict[str, str]:
    outcomes = {}
    for test in ET.parse(path).iter("testcase"):
        about = {each.get("name"): each.get("value") for each in test.iter("property")}
        _, bracket, tail = (test.get("name") or "").partition("[")
        variant = tail.rstrip("]").removeprefix(about["profile"] or "").removeprefix("-")
        case = f"{about['case']}{f'[{variant}]' if bracket and variant else ''}"
        skipped = test.find("skipped")
        if test.find("failure") is not None or test.find("error") is not None:
            outcomes[case] = "failed"
        elif skipped is not None:
            outcomes[case] = skipped.get("message") or "skipped"
        else:
            outcomes[case] = "passed"
    return outcomes
