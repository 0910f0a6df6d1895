"""For how many further processes a limit of memory leaves room."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hotwhisk.system import control_group
from hotwhisk.system.memory import FreeMemory, OwnMemory, own_memory

MB = 1 << 20
FILES = {"memory": "memory.max", "used": "memory.current", "statistics": "memory.stat"}


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a control group of 1 GB, of which 300 MB are in use and 100 MB only for a cache."""
    monkeypatch.setattr(control_group, "MOUNT", str(tmp_path))
    monkeypatch.setattr(control_group, "paths", lambda: {"": ""})
    (tmp_path / "memory.max").write_text(f"{1000 * MB}\n")
    (tmp_path / "memory.current").write_text(f"{300 * MB}\n")
    (tmp_path / "memory.stat").write_text(f"anon 7\ninactive_file {100 * MB}\n")
    return tmp_path


def test_a_tenth_stays_free_and_the_cache_does_not_count(
    group: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steady = OwnMemory(now=100 * MB, most=100 * MB)
    monkeypatch.setattr("hotwhisk.system.memory.own_memory", lambda _: steady)
    assert FreeMemory().room_for([1]) == 7
    (group / "memory.current").write_text(f"{980 * MB}\n")
    assert FreeMemory().room_for([1]) == 0


def test_what_each_may_still_need_is_kept_for_it(
    group: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {1: OwnMemory(50 * MB, 150 * MB), 2: OwnMemory(20 * MB, 20 * MB), 0: OwnMemory(0, 0)}
    monkeypatch.setattr("hotwhisk.system.memory.own_memory", found.__getitem__)
    assert FreeMemory().room_for([1]) == 4  # 700 MB are free, 100 of them are kept
    assert FreeMemory().room_for([1, 2]) == 3
    assert FreeMemory().room_for([1, 2, 0]) == 2


@pytest.mark.parametrize("text", ["max\n", ""])
def test_without_a_limit_there_is_room_for_any_number(group: Path, text: str) -> None:
    (group / "memory.max").write_text(text)
    assert FreeMemory().room_for([os.getpid()]) > 1 << 30


def test_what_a_process_shares_is_not_its_own_but_its_peak_and_its_children_are() -> None:
    code = (
        "import sys; big = bytes([7]) * (64 << 20); del big; print(1, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-I", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        own = own_memory(child.pid)
        assert own.now < 30 * MB
        assert 60 * MB < own.most < 100 * MB
        assert own_memory(os.getpid()).most > own.most
        child.communicate()


def test_a_process_that_has_left_has_nothing() -> None:
    with subprocess.Popen(["true"]) as child:
        child.wait()
    assert own_memory(child.pid) == own_memory(0) == OwnMemory(0, 0)
