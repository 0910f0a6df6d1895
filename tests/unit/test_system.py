"""
What is asked of the kernel in words of its own.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from hotwhisk.system import memory_event_files, oom_kills

SECOND = "0::/\n"
SERVICE = "0::/system.slice/hotwhisk.service\n"
FIRST = "5:devices:/docker/7d\n4:memory:/docker/7d\n1:cpu,cpuacct:/docker/7d\n"


@pytest.mark.parametrize(
    ("groups", "files"),
    [
        (SECOND, ["/sys/fs/cgroup/memory.events"]),
        (
            SERVICE,
            [
                "/sys/fs/cgroup/system.slice/hotwhisk.service/memory.events",
                "/sys/fs/cgroup/memory.events",
            ],
        ),
        (
            FIRST + SECOND,
            [
                "/sys/fs/cgroup/memory.events",
                "/sys/fs/cgroup/memory/docker/7d/memory.oom_control",
                "/sys/fs/cgroup/memory/memory.oom_control",
            ],
        ),
        ("", []),
    ],
)
def test_where_deaths_for_want_of_memory_are_counted(groups: str, files: list[str]) -> None:
    assert memory_event_files(groups) == files


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
