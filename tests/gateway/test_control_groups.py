"""Limits of memory by control groups of version 2, on a kernel that has them."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.user_mode_linux import run_inside

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LIMITED = {
    "method": "control group", "memory.max": str(64 << 20), "memory.swap.max": "0",
    "pids.max": "1024", "signal": 9, "exhausted": True, "left": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    program = Path(__file__).parent / "control_groups.py"
    printed = run_inside(program, tmp_path_factory.mktemp("linux"))
    lines = [line for line in printed.splitlines() if line.startswith("FOUND ")]
    assert lines, printed
    return json.loads(lines[0].removeprefix("FOUND "))


def test_a_process_alone_in_its_group_makes_groups_below_it(found: Any) -> None:
    assert found["alone"] == {**LIMITED, "uid": 0}


def test_a_group_that_was_delegated_to_a_user_is_enough(found: Any) -> None:
    assert found["delegated"] == {**LIMITED, "uid": 1000}


def test_a_group_with_other_processes_stays_as_it_was(found: Any) -> None:
    assert found["crowd"]["method"] == "RLIMIT_DATA"
    assert found["crowd"]["controllers"] == ""
    assert found["crowd"]["folders"] == []


def test_a_gateway_limits_all_processes_of_an_action_together(found: Any) -> None:
    assert found["gateway"]["group"].startswith("0::/top.slice/up.service/hotwhisk-")
    text = "The action exhausted its memory and was aborted."
    assert found["gateway"]["much"] == {"error": text}
    assert -signal.SIGKILL in (found["gateway"]["together"] or [-signal.SIGKILL])


def test_the_next_gateway_removes_the_groups_of_a_killed_one(found: Any) -> None:
    assert found["gateway"]["after a kill"] > 1
    assert found["gateway"]["after a start"] == ["hotwhisk-gateway"]
