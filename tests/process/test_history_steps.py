"""
Kill the server, or let a call fail, at each file operation by which the history is written.

The kernel asks the test about each operation: see `tests.support.stepping`.
"""

from __future__ import annotations

import time
from errno import EACCES, EDQUOT, EIO, ENOSPC, EROFS, errorcode
from functools import partial
from pathlib import Path

import pytest

from hotwhisk.server.history_writer import FINISH_WAIT
from hotwhisk.server.state_folder import read_versions
from tests.process import control
from tests.process.history import is_written, kept, version, wait_written
from tests.support.server import Server
from tests.support.stepping import Happens, Stepping

pytestmark = pytest.mark.slow

FEWEST_STEPS = 10
"""Operations that a history takes at least: two files, each opened, written, flushed, renamed."""

MOST_STEPS = 60


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return a state folder that has version 1."""
    with Server("--state", str(tmp_path / "state")) as server:
        server.replace(1)
        server.end_well()
    return tmp_path / "state"


def ended_or_written(server: Stepping, number: int, state: Path) -> bool:
    """Wait until the server is dead, or the history is written; return whether it is dead."""
    deadline = time.monotonic() + 10.0
    while time.monotonic() < deadline:
        if server.wait(0.01) is not None:
            return True
        if not server.happened and is_written(state, number):
            try:
                wait_written(server)
            except (OSError, ValueError):  # it was killed after the history was renamed
                continue
            return False
    raise AssertionError(f"neither within 10 s: {server.steps}")


@pytest.mark.timeout(240)
def test_after_a_kill_at_every_step_a_start_has_the_old_version_or_the_new_one(
    state: Path,
) -> None:
    old, news = 1, 0
    for step in range(1, MOST_STEPS):
        with Stepping("--state", str(state)) as server:
            found = version(server)
            assert found in (old, old + 1), f"after step {step - 1}: {found}"
            news += found == old + 1
            old = found
            server.at(step, Happens.KILL_SERVER)
            server.replace(old + 1)
            if not ended_or_written(server, old + 1, state):
                break
    else:
        raise AssertionError(f"there are more than {MOST_STEPS} steps: {server.steps}")
    assert step > FEWEST_STEPS
    assert news, "no kill came after the history was renamed"
    with Server("--state", str(state)) as last:
        assert version(last) == old + 1


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "what", [ENOSPC, EDQUOT, EIO, EROFS, EACCES, Happens.KILL_WRITER],
    ids=lambda what: errorcode[what] if isinstance(what, int) else what.name,
)  # fmt: skip
def test_a_step_that_fails_is_told_and_holds_up_nothing(state: Path, what: Happens | int) -> None:
    failed = 0
    with Stepping("--state", str(state)) as server:
        number = version(server)
        for step in range(1, MOST_STEPS):
            server.at(step, what)
            before = server.stderr().count("--state")
            number += 1
            server.replace(number)
            assert version(server) == number
            control.wait_until(server, partial(settled, server, before), f"the end of step {step}")
            if not server.happened:
                break
            failed += server.stderr().count("--state") > before
            versions = read_versions(str(state))
            assert versions[-1].content.is_kept
            server.at(0, 0)
            number += 1
            server.replace(number)
            wait_written(server)
            assert control.ask(server, "history")["problem"] == ""
        assert failed >= FEWEST_STEPS - 2
        assert kept(server)[0] == control.status(server)["generation"]["number"]
        server.end_well()
    with Server("--state", str(state)) as last:
        assert version(last) == number


def settled(server: Stepping, before: int, _: control.Status) -> bool:
    """Return whether the history is written, or the log has one more line about it."""
    found = control.ask(server, "history")
    return bool(found["versions"][0]["bytes"]) or server.stderr().count("--state") > before


def test_a_disk_that_stands_still_holds_up_neither_a_replacement_nor_the_stop(state: Path) -> None:
    with Stepping("--state", str(state)) as server:
        server.at(3, Happens.STOP_WRITER)
        for number in (2, 3, 4):
            began = time.monotonic()
            server.replace(number)
            assert version(server) == number
            assert time.monotonic() - began < FINISH_WAIT
        control.wait_until(server, lambda _: server.happened, "the third step")
        began = time.monotonic()
        server.end_well()
        assert time.monotonic() - began < FINISH_WAIT + 3.0
        assert "the history is not kept: it was not written within 2 s" in server.stderr()
    with Server("--state", str(state)) as last:
        assert version(last) == 1
