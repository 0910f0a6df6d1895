"""Hooks around a snapshot of SnapStart."""

from __future__ import annotations

import random
import sys
import types

import pytest

from hotwhisk.aws_lambda import snapshot_hooks


def test_a_function_without_hooks_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "snapshot_restore_py", raising=False)
    snapshot_hooks.run_before_snapshot()
    snapshot_hooks.run_after_restore()


def test_the_latest_hook_runs_first_before_a_snapshot_and_last_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    package, seen = types.ModuleType("snapshot_restore_py"), list[object]()

    def add(value: object, *, twice: bool = False) -> None:
        seen.extend([value] * (2 if twice else 1))

    hooks = [(add, (1,), {}), (add, (2,), {"twice": True})]
    package.get_before_snapshot = package.get_after_restore = lambda: hooks  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", package)
    snapshot_hooks.run_before_snapshot()
    snapshot_hooks.run_after_restore()
    assert seen == [2, 2, 1, 1, 2, 2]


def test_copies_of_a_snapshot_draw_different_numbers() -> None:
    before = random.getstate()
    try:
        random.seed(1)
        first = random.random()
        random.seed(1)
        snapshot_hooks.seed_again()
        assert random.random() != first
    finally:
        random.setstate(before)
