"""Remove a folder that an action could write to: all of it, and nothing else."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hotwhisk.system.removal import remove
from tests.support.trees import nest


@contextmanager
def few_descriptors(count: int = 24) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(used + count, before[0]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_file_a_link_or_nothing_is_removed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    assert remove(str(tmp_path / "link"))
    assert (tmp_path / "file").exists()
    assert remove(str(tmp_path / "file"))
    assert remove(str(tmp_path / "absent" / "file"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("levels", [1, 1000])
def test_deep_folders_cost_neither_stack_nor_descriptors(tmp_path: Path, levels: int) -> None:
    nest(tmp_path / "deep", levels)
    with few_descriptors():
        assert remove(str(tmp_path / "deep"))
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_a_folder_is_removed_and_not_followed(tmp_path: Path) -> None:
    nest(tmp_path / "outside", 3)
    nest(tmp_path / "inside", 3)
    (tmp_path / "inside" / "d" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    assert remove(str(tmp_path / "inside"))
    assert remove(str(tmp_path / "link"))
    assert [each.name for each in tmp_path.iterdir()] == ["outside"]
    assert (tmp_path / "outside" / "d" / "d" / "d" / "last").exists()


def test_nothing_is_removed_through_a_link_above(tmp_path: Path) -> None:
    nest(tmp_path / "outside" / "7", 1)
    (tmp_path / "8080").symlink_to(tmp_path / "outside")
    assert remove(str(tmp_path / "8080" / "7"))
    assert (tmp_path / "outside" / "7" / "d" / "last").exists()


def test_an_empty_or_absent_time_removes_nothing_and_says_so(tmp_path: Path) -> None:
    nest(tmp_path / "deep", 5)
    assert not remove(str(tmp_path / "deep"), -1.0)
    assert remove(str(tmp_path / "absent"), -1.0)
    assert remove(str(tmp_path / "deep"), 10.0)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_removal_continues_where_it_was(tmp_path: Path) -> None:
    for count in range(30):
        nest(tmp_path / "wide" / str(count), 30)
    rounds = 1
    while not remove(str(tmp_path / "wide"), 0.001):
        rounds += 1
    assert rounds > 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_swapped_for_a_link_is_removed_as_a_link(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    nest(outside, 2)
    for _ in range(10):
        nest(inside / "a", 2)
        nest(inside / "b", 2)
        done = threading.Event()

        def swap(done: threading.Event = done) -> None:
            while not done.is_set():
                for name in ("a", "b"):
                    try:
                        os.rename(inside / name, inside / f"{name}.away")
                        os.symlink(outside, inside / name)
                    except OSError:
                        continue

        swapping = threading.Thread(target=swap)
        swapping.start()
        try:
            remove(str(inside))
        finally:
            done.set()
            swapping.join()
        remove(str(inside))
        assert [each.name for each in tmp_path.iterdir()] == ["outside"]
        assert (outside / "d" / "d" / "last").exists()
