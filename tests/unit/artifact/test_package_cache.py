"""Libraries that generations share: unpacked once, kept while they are used, and one longer."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

from hotwhisk.artifact import package_cache


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a server's folder."""
    return tmp_path / "8080"


def take(home: Path, generation: int, key: str, text: str = "") -> str:
    """Return what a generation finds; ``text`` is what it would have unpacked."""
    holder = home / str(generation)
    holder.mkdir(parents=True)

    def fill(place: str) -> None:
        Path(place, "library.py").write_text(text or key)

    return package_cache.fill_and_move(f"{home}/packages", key, str(holder), fill)


def leave(home: Path, generation: int) -> None:
    package_cache.remove(str(home / str(generation)))
    package_cache.sweep(f"{home}/packages")


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
        package_cache.fill_and_move(f"{home}/packages", "a", str(holder), fill)
    assert kept(home) == []
    assert os.listdir(holder) == [package_cache.LINK]


def test_one_that_another_was_quicker_to_unpack(home: Path) -> None:
    holder = home / "1"
    holder.mkdir(parents=True)

    def fill(place: str) -> None:
        Path(place, "library.py").write_text("slow")
        take(home, 2, "a", "quick")

    place = package_cache.fill_and_move(f"{home}/packages", "a", str(holder), fill)
    assert Path(place, "library.py").read_text() == "quick"
    assert os.listdir(holder) == [package_cache.LINK]


def test_sweeping_where_there_is_nothing(home: Path) -> None:
    package_cache.sweep(f"{home}/packages")
    assert not home.exists()


# -- what is made in its place ----------------------------------------------------------------


def make(home: Path, generation: int, text: str) -> str:
    holder = home / str(generation)
    holder.mkdir(parents=True)

    def fill(place: str) -> None:
        assert os.listdir(place) == []
        Path(place, "where").write_text(f"{text} {place}")

    return package_cache.fill_in_place(f"{home}/packages", "env", str(holder), fill)


def test_made_once_in_its_place(home: Path) -> None:
    first = make(home, 1, "first")
    assert make(home, 2, "second") == first == f"{home}/packages/env"
    assert Path(first, "where").read_text() == f"first {first}"
    assert kept(home) == ["env"]


def test_what_cannot_be_made_leaves_nothing_and_is_made_by_the_next(home: Path) -> None:
    def fail(place: str) -> None:
        Path(place, "half").mkdir()
        Path(place, "half", "file").touch()
        raise ValueError("no index")

    (home / "1").mkdir(parents=True)
    with pytest.raises(ValueError, match="no index"):
        package_cache.fill_in_place(f"{home}/packages", "env", f"{home}/1", fail)
    assert os.listdir(home / "packages" / "env") == []
    assert Path(make(home, 2, "second"), "where").read_text().startswith("second")


def test_what_a_killed_process_left_unfinished_is_made_anew(home: Path) -> None:
    def die(place: str) -> None:
        Path(place, "half").mkdir()
        os.kill(os.getpid(), signal.SIGKILL)

    (home / "1").mkdir(parents=True)
    pid = os.fork()
    if not pid:
        package_cache.fill_in_place(f"{home}/packages", "env", f"{home}/1", die)
    os.waitpid(pid, 0)
    assert os.listdir(home / "packages" / "env") == ["half"]
    made = make(home, 2, "second")
    assert sorted(os.listdir(made)) == ["where"]


def test_a_process_that_wants_the_same_waits_for_it(home: Path) -> None:
    begun, made = os.pipe(), os.pipe()
    (home / "1").mkdir(parents=True)

    def slow(place: str) -> None:
        os.write(begun[1], b"x")
        os.read(made[0], 1)
        Path(place, "where").write_text("first")

    pid = os.fork()
    if not pid:
        package_cache.fill_in_place(f"{home}/packages", "env", f"{home}/1", slow)
        os._exit(0)
    os.read(begun[0], 1)
    os.write(made[1], b"x")
    assert Path(make(home, 2, "second"), "where").read_text() == "first"
    os.waitpid(pid, 0)
    for descriptor in (*begun, *made):
        os.close(descriptor)


def test_of_what_is_unused_the_unfinished_goes(home: Path) -> None:
    take(home, 1, "a")
    (home / "2").mkdir(parents=True)

    def fail(_: str) -> None:
        raise ValueError("no index")

    with pytest.raises(ValueError, match="no index"):
        package_cache.fill_in_place(f"{home}/packages", "env", f"{home}/2", fail)
    leave(home, 1)
    leave(home, 2)
    assert kept(home) == ["a"]
