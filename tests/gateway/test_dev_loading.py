"""Save actions of ``hotwhisk dev`` whose import takes long, or never ends."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.gateway.dev import DevProcess, write

pytestmark = pytest.mark.slow

HANGS = "import threading\nthreading.Event().wait()\ndef main(event): return {}\n"
GOOD = "def main(event): return {'by': 'good'}\n"
SOON = 10.0
"""Seconds: much more than a load takes, and much less than the limit of an action."""


def test_an_action_that_hangs_at_import_holds_up_no_other(tmp_path: Path) -> None:
    write(tmp_path / "packages", {"hangs.py": HANGS, "other.py": GOOD})
    with DevProcess(tmp_path) as dev:
        dev.wait_live("other 0.0.1")
        dev.wait(r"still loading hangs \(2 s\): its import has not ended; a save of it begins anew")
        assert "hangs is still loading (2 s): its import has not ended; no version" in dev.page("/")
        (tmp_path / "packages/other.py").write_text(GOOD + "\n")
        dev.wait(r"other 0\.0\.2 is live after .* · packages/other\.py changed", SOON)


def test_a_save_of_an_action_that_hangs_at_import_replaces_the_load_at_once(tmp_path: Path) -> None:
    action = tmp_path / "hello.py"
    action.write_text(GOOD)
    with DevProcess(action) as dev:
        dev.wait_live("hello 0.0.1")
        os.mkfifo(tmp_path / "begun")
        action.write_text(f"open({str(tmp_path / 'begun')!r}, 'w').close()\n{HANGS}")
        (tmp_path / "begun").read_text()  # ends when the import has begun
        assert dev.result("hello") == {"by": "good"}  # meanwhile
        action.write_text(GOOD.replace("good", "better"))
        dev.wait(r"hello 0\.0\.2 is live after .* · hello\.py changed", SOON)
        assert dev.result("hello") == {"by": "better"}
        assert "does not load" not in dev.stderr()
        assert "loading" not in dev.page("/")


def test_a_load_that_was_given_up_is_forgotten_with_its_action(tmp_path: Path) -> None:
    write(tmp_path / "packages", {"hangs.py": HANGS, "other.py": GOOD})
    with DevProcess(tmp_path) as dev:
        dev.wait(r"still loading hangs \(2 s\)")
        (tmp_path / "packages/hangs.py").unlink()
        dev.wait("hangs was removed", SOON)
        assert "hangs" not in dev.page("/")
