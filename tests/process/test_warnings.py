"""Warnings of Python while an action runs, and the file that they name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.client import run_once
from tests.support.server import Server

pytestmark = pytest.mark.slow

SERVE = (sys.executable, "-W", "always", "-m", "hotwhisk", "serve")
AWAITED = "async def late(): pass\n"

FORGOTTEN = {
    "in the result": f"{AWAITED}def main(event): return {{'x': late()}}\n",
    "beside an exception": f"{AWAITED}def main(event):\n    c = late()\n    raise ValueError('x')\n",
    "in a coroutine": f"{AWAITED}async def main(event):\n    c = late()\n    raise ValueError('x')\n",
    "at import": f"{AWAITED}def leave():\n    c = late()\n    raise ValueError('x')\n"
    "try: leave()\nexcept ValueError: pass\ndef main(event): return {}\n",
    "a file": "def main(event):\n    f = open('/dev/null')\n    return {}\n",
}


@pytest.mark.parametrize("profile", [(), ("--openwhisk",)], ids=["plain", "openwhisk"])
@pytest.mark.parametrize("case", FORGOTTEN)
def test_a_warning_names_no_file_of_ours(
    profile: tuple[str, ...], case: str, tmp_path: Path
) -> None:
    file = tmp_path / "hello.py"
    file.write_text(FORGOTTEN[case])
    with Server(str(file), *profile, command=SERVE) as server:
        run_once(server.address, {})
        log = server.stderr()
    told = "unclosed file" if case == "a file" else "coroutine 'late' was never awaited"
    lines = [line for line in log.splitlines() if told in line]
    assert lines or case == "in the result"  # there the error tells of it already
    assert all(line.startswith(str(file)) for line in lines)
    assert "hotwhisk/" not in log


def test_a_fork_beside_threads_of_the_action_is_warned_of_in_its_own_file_only(
    tmp_path: Path,
) -> None:
    """Python 3.12 and newer warn at each fork: at forks of the action, not at ours."""
    file = tmp_path / "hello.py"
    file.write_text(
        "import os, threading, time\n"
        "while time.process_time() < 0.2: pass\n"  # enough for a template
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "def main(event):\n"
        "    pid = os.fork()\n"
        "    if not pid: os._exit(0)\n"
        "    os.waitpid(pid, 0)\n"
        "    return {}\n"
    )
    with Server(str(file), command=SERVE) as server:
        assert run_once(server.address, {}).status == 200
        log = server.stderr()
    warned = [line for line in log.splitlines() if "Warning" in line]
    assert len(warned) == (sys.version_info >= (3, 12))
    assert all(line.startswith(str(file)) for line in warned)
