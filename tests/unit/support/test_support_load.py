"""Test the load itself: a right server gives a clean result, and every fault is seen."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support import fake_runtime
from tests.support.actions import version_source
from tests.support.client import init_once
from tests.support.load import Plan, Result, run_load
from tests.support.server import Server

COMMAND = (sys.executable, str(Path(fake_runtime.__file__)))


def load_with(fault: str) -> tuple[Plan, Result]:
    with Server("--fault", fault, command=COMMAND) as server:
        assert init_once(server.address, version_source(1)).status == 200
        plan = Plan(
            server.address,
            clients=16,
            replacements=4,
            between=100,
            answer_timeout=2.0,
            deadline=20.0,
        )
        return plan, run_load(plan)


def test_a_right_server_is_clean() -> None:
    plan, result = load_with("none")
    assert result.problems(plan) == []
    assert result.answered >= 400
    assert (result.kept, result.kept_same, result.replacements) == (8, 8, 4)


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("lose", "lost"),
        ("drop", "reconnects"),
        ("drop", "lost"),
        ("refuse", "refused"),
        ("stale", "stale"),
        ("deaf", "stale"),
        ("cross", "wrong"),
        ("twice", "wrong"),
    ],
)
def test_each_fault_is_seen(fault: str, seen: str) -> None:
    plan, result = load_with(fault)
    assert getattr(result, seen) > 0, result
    assert result.problems(plan)


def test_a_command_can_replace() -> None:
    with Server(command=COMMAND) as server:
        assert init_once(server.address, version_source(1)).status == 200
        post = (
            "import sys; from tests.support.client import init_once; "
            "from tests.support.actions import version_source; "
            f"init_once({server.address!r}, version_source(int(sys.argv[1])))"
        )
        command = f'{sys.executable} -c "{post}" {{n}}'
        plan = Plan(server.address, clients=8, replacements=2, between=50, command=command)
        result = run_load(plan)
    assert result.problems(plan) == []
    assert result.replacements == 2
