"""The values of the control group, in both versions of its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotwhisk.system import control_group
from hotwhisk.system.control_group import oom_kills

SECOND = "memory.events"
FIRST = "memory/docker/7d/memory.oom_control"
FIRST_AT_ROOT = "memory/memory.oom_control"


@pytest.mark.parametrize(
    ("there", "found"),
    [
        ([SECOND, FIRST], SECOND),
        ([f"a.service/{SECOND}", SECOND], f"a.service/{SECOND}"),
        ([FIRST, FIRST_AT_ROOT], FIRST),
        ([FIRST_AT_ROOT], FIRST_AT_ROOT),
        ([], ""),
    ],
)
def test_the_file_that_counts_kills_for_lack_of_memory_is_found(
    there: list[str], found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_group, "MOUNT", str(tmp_path))
    groups = {"": "/a.service", "memory": "/docker/7d"}
    monkeypatch.setattr(control_group, "paths", lambda: groups)
    for name in there:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("oom_kill 0")
    assert control_group.find("deaths") == (str(tmp_path / found) if found else "")


@pytest.mark.parametrize(
    ("text", "kills"),
    [
        ("low 0\nhigh 0\nmax 12\noom 4\noom_kill 3\noom_group_kill 0\n", 3),
        ("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", 2),
        ("oom_kill_disable 0\nunder_oom 0\n", 0),
        ("oom_kill many\n", 0),
    ],
)
def test_both_versions_count_alike(text: str, kills: int, tmp_path: Path) -> None:
    (tmp_path / "events").write_text(text)
    assert oom_kills(str(tmp_path / "events")) == kills


def test_no_such_file_counts_nothing() -> None:
    assert oom_kills("/no/such/file") == 0
