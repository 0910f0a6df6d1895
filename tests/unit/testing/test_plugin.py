"""The plugin in a pytest of its own, as users run it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import wait_exit

HELLO = """\
import os

def main(event):
    print("called")
    return {"greeting": f"Hello, {event['name']}", "server": os.getppid()}
"""
TESTS = """\
import json
import os

def test_served(serve_action):
    action = serve_action("hello.py")
    assert action.invoke(name="Mike").result["greeting"] == "Hello, Mike"

def test_called(call_handler):
    assert call_handler("hello.py", {"name": "Mike"})["greeting"] == "Hello, Mike"

def test_log_is_shown(serve_action):
    activation = serve_action("hello.py").invoke(name="Mike")
    assert activation.status == "application error"

def test_traceback_is_shown(serve_action):
    serve_action("broken.py")

def test_missing_is_told(serve_action):
    serve_action("helo.py")

def test_handler_fails(call_handler):
    call_handler("hello.py", {})
"""
WAITING = """\
import os
import signal

def test_waits(serve_action):
    served = serve_action("hello.py").invoke(name="Mike")
    with open("server", "w") as pipe:
        pipe.write(str(served.result["server"]))
    signal.pause()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "hello.py").write_text(HELLO)
    (tmp_path / "tests" / "broken.py").write_text("number = 1 / 0\n")
    (tmp_path / "tests" / "test_hello.py").write_text(TESTS)
    return tmp_path


COMMAND = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly")


@pytest.mark.slow
def test_the_fixtures_are_there_and_failures_show_what_is_needed(project: Path) -> None:
    done = subprocess.run(
        COMMAND, cwd=project, capture_output=True, text=True, timeout=60, check=False
    )
    said = done.stdout
    assert "4 failed, 2 passed" in said, said + done.stderr
    assert "Captured log of hello call" in said
    assert "VersionError: broken.py does not load" in said
    assert f'File "{project}/tests/broken.py", line 1' in said
    assert "did you mean" in said
    assert "KeyError: 'name'" in said
    assert "src/hotwhisk" not in said, "a frame of hotwhisk is shown"


@pytest.mark.slow
def test_the_server_ends_with_a_test_run_that_is_killed(project: Path) -> None:
    (project / "test_waiting.py").write_text(WAITING)
    (project / "hello.py").write_text(HELLO)
    os.mkfifo(project / "server")
    with subprocess.Popen(
        [*COMMAND, "test_waiting.py"], cwd=project, stdout=subprocess.DEVNULL
    ) as running:
        try:
            pidfd = os.pidfd_open(int((project / "server").read_text()))
        finally:
            running.send_signal(signal.SIGKILL)
    try:
        assert wait_exit(pidfd, 10.0)
    finally:
        os.close(pidfd)


def test_a_test_run_without_the_fixtures_imports_almost_nothing() -> None:
    code = (
        "import pytest, sys; before = set(sys.modules); import hotwhisk.testing.plugin; "
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["hotwhisk", "hotwhisk.testing", "hotwhisk.testing.plugin"]


def test_the_names_of_the_package_are_there() -> None:
    import hotwhisk.testing

    for name in hotwhisk.testing.__all__:
        assert getattr(hotwhisk.testing, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'serv'"):
        hotwhisk.testing.serv  # noqa: B018
