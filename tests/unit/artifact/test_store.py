"""
Libraries that generations share: unpacked once, kept while they are used, and one longer.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from hotwhisk.artifact import store


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """
    A server's folder.
    """
    return tmp_path / "8080"


def take(home: Path, generation: int, key: str, text: str = "") -> str:
    """
    What a generation finds; ``text`` is what it would have unpacked.
    """
    holder = home / str(generation)
    holder.mkdir(parents=True)

    def fill(place: str) -> None:
        Path(place, "library.py").write_text(text or key)

    return store.take(f"{home}/packages", key, str(holder), fill)


def leave(home: Path, generation: int) -> None:
    store.remove(str(home / str(generation)))
    store.sweep(f"{home}/packages")


def kept(home: Path) -> list[str]:
    return sorted(name for name in os.listdir(home / "packages") if name != ".lock")


def test_unpacked_once(home: Path) -> None:
    first = take(home, 1, "a")
    assert take(home, 2, "a", "another") == first
    assert Path(first, "library.py").read_text() == "a"
    leave(home, 1)
    leave(home, 2)
    assert take(home, 3, "a", "another") == first
    assert Path(first, "library.py").read_text() == "a"


def test_what_is_used_stays_and_of_the_rest_the_last(home: Path) -> None:
    for generation, key in enumerate("abcd", 1):
        take(home, generation, key)
    leave(home, 2)
    assert kept(home) == ["a", "b", "c", "d"]
    leave(home, 3)
    assert kept(home) == ["a", "c", "d"]
    leave(home, 4)
    assert kept(home) == ["a", "d"]


def test_a_failure_leaves_nothing(home: Path) -> None:
    holder = home / "1"
    holder.mkdir(parents=True)

    def fill(place: str) -> None:
        Path(place, "half").write_text("")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        store.take(f"{home}/packages", "a", str(holder), fill)
    assert kept(home) == []
    assert os.listdir(holder) == [store.LINK]


def test_one_that_another_was_quicker_to_unpack(home: Path) -> None:
    holder = home / "1"
    holder.mkdir(parents=True)

    def fill(place: str) -> None:
        Path(place, "library.py").write_text("slow")
        take(home, 2, "a", "quick")

    place = store.take(f"{home}/packages", "a", str(holder), fill)
    assert Path(place, "library.py").read_text() == "quick"
    assert os.listdir(holder) == [store.LINK]


def test_sweeping_where_there_is_nothing(home: Path) -> None:
    store.sweep(f"{home}/packages")
    assert not home.exists()
