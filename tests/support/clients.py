"""
Clients of the API that others wrote: built once into ``build-out/clients``, and run.

The folder of a build is named by the content of its sources, so it is made again if they change. Go
and npm fetch what they need from their registries. If one is missing, the test fails and says so.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import pytest

from tests.support.gateway import GatewayProcess

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "tests" / "gateway" / "clients"
BUILT = ROOT / "build-out" / "clients"
BUILD_SECONDS = 900.0
CALL_SECONDS = 90.0
EMULATOR = "github.com/aws/aws-lambda-runtime-interface-emulator/cmd/aws-lambda-rie"
GO_FOLDERS = "/usr/local/go/bin:/usr/lib/go/bin"


class Called(NamedTuple):
    """What a client made of a call: its answer, or the error that it raised."""

    answer: Any
    error: str
    status: int


def go_programs() -> Path:
    """Return the folder of the programs of Go: wsk and wskdeploy."""
    go = _tool("go", "install Go (the continuous integration takes golang-go of Debian)")
    return _build("go", [go, "build", "-buildvcs=false", "-o", "bin/", "./..."]) / "bin"


def lambda_emulator() -> Path:
    """Return AWS Lambda's own emulator, which is open source."""
    go = _tool("go", "install Go (the continuous integration takes golang-go of Debian)")
    # The emulator asks for a Go that is newer than that of a distribution; `auto` fetches it.
    build = ["env", "GOTOOLCHAIN=auto", go, "build", "-buildvcs=false", "-o", "bin/", EMULATOR]
    return _build("lambda", build) / "bin" / "aws-lambda-rie"


def node_program() -> Path:
    """Return the program of Node.js, with the npm package openwhisk beside it."""
    npm = _tool("npm", "install Node.js and npm")
    return _build("node", [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]) / "calls.js"


class LineClient:
    """A client program that takes calls and gives answers, a line each; a context manager."""

    def __init__(self, command: Sequence[str], gateway: GatewayProcess) -> None:
        self._command = [*command, gateway.url, gateway.auth]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=CALL_SECONDS)
        assert self._process.returncode == 0

    def call(self, wanted: object) -> Called:
        """Make a call; pytest's time limit ends a test whose answer does not come."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(wanted) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the client ended at {wanted}"
        found = json.loads(line)
        return Called(found.get("answer"), found.get("error") or "", found.get("status") or 0)


def run(command: Sequence[str | Path], folder: Path, **variables: str) -> tuple[int, str]:
    """Run a client in a folder; return its exit status and its output."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={**os.environ, "HOME": str(folder), **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=CALL_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout


def _tool(name: str, advice: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:{GO_FOLDERS}")
    if found is None:
        pytest.fail(f"{name} is needed for this test: {advice}")
    return found


def _build(name: str, command: Sequence[str]) -> Path:
    sources = SOURCES / name
    built = BUILT / f"{name}-{_digest(sources)}"
    if built.exists():
        return built
    BUILT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILT) as folder:
        fresh = Path(folder) / name
        shutil.copytree(sources, fresh)
        done = subprocess.run(
            list(command), cwd=fresh, capture_output=True, text=True, timeout=BUILD_SECONDS,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(command)} failed: {done.stdout}{done.stderr}"
        try:
            fresh.rename(built)
        except OSError:  # another test process was quicker
            assert built.exists()
    return built


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]
