"""``serve --strict FILE`` ends with the reason if FILE does not load at the start."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.process.history import version
from tests.process.test_watch import wait_note
from tests.support.actions import version_source
from tests.support.client import init_once
from tests.support.server import HOTWHISK, Server

pytestmark = pytest.mark.slow

BROKEN = {
    "syntax": ("def main(event:\n", "hello.py does not compile"),
    "import": ("import no_such_library\n", "No module named 'no_such_library'"),
    "handler": ("def other(event): return {}\n", "main"),
    "exit": ("import sys\nsys.exit(3)\n", "The code called sys.exit(3)"),
    "death": ("import os\nos._exit(3)\n", "exit status 3"),
    "hang": ("import time\ntime.sleep(60)\n", "0.5 s"),
    "startup": (
        "import hotwhisk\n@hotwhisk.on_startup\ndef ready(): raise ValueError('no database')\n",
        "no database",
    ),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "hello.py"


def serve(file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a strict server that is expected to end by itself."""
    own = ("--port", "0", "--run-dir", str(file.parent / "run"), "--init-timeout", "0.5")
    return subprocess.run(
        [*HOTWHISK, "--strict", *own, *options, str(file)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("what", BROKEN)
def test_a_file_that_does_not_load_ends_the_server_with_the_reason(file: Path, what: str) -> None:
    text, reason = BROKEN[what]
    file.write_text(text if what == "handler" else f"{text}def main(event): return {{}}\n")
    why = file.parent / "termination-log"
    why.touch()
    done = serve(file, "--termination-log", str(why))
    assert done.returncode == 1
    assert f"hotwhisk: --strict: {file} does not load: " in done.stderr
    assert reason in done.stderr
    assert "serving on" not in done.stderr
    assert "--strict" in why.read_text()


def test_a_strict_server_whose_file_loads_serves_on(file: Path) -> None:
    file.write_text(version_source(1))
    with Server("--strict", str(file)) as server:
        assert version(server) == 1
        file.write_text(BROKEN["syntax"][0])
        os.kill(server.pid, signal.SIGHUP)
        wait_note(server, "does not compile")
        assert init_once(server.address, BROKEN["syntax"][0]).status == 502
        assert version(server) == 1
        server.end_well()


def test_a_strict_server_loads_no_earlier_version_instead(file: Path) -> None:
    state = ("--state", str(file.parent / "state"))
    file.write_text(version_source(1))
    with Server(*state, str(file)) as server:
        server.end_well()
    file.write_text(BROKEN["syntax"][0])
    done = serve(file, *state)
    assert done.returncode == 1
    assert "does not compile" in done.stderr
    with Server(*state, str(file)) as server:
        assert version(server) == 1


def test_strict_without_a_file_is_refused() -> None:
    done = subprocess.run(
        [*HOTWHISK, "--strict", "--port", "0"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "--strict needs something to load: hotwhisk serve --strict FILE" in done.stderr
