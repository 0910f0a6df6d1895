"""Which version a server begins with: each row is a case that a user can come into."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hotwhisk.supervisor.artifacts import LocalArtifact, StoredArtifact
from hotwhisk.supervisor.commands import Candidate, Origin
from hotwhisk.supervisor.first_version import MOST_TRIED, choose
from hotwhisk.supervisor.history import Content, Version

FILE = Origin("/a/hello.py")


def version(number: int, what: str) -> Version:
    """Return a version of an earlier server: of "file", "other file", "replace" or "rollback"."""
    sources = {"file": FILE, "other file": Origin("/a/ciao.py")}
    content = Content(number, sources.get(what, Origin()), 1)
    content.file = StoredArtifact(f"{number}.version", content.origin)
    return Version(number, f"digest {number}", 0.0, content, int(what == "rollback"))


def order(first: Candidate | None) -> Iterator[str]:
    """Yield what is loaded, and what is loaded if that fails, and so on."""
    while first is not None:
        yield f"version {first.restores}" if first.restores else "FILE"
        first = first.fallback


def chosen(
    before: list[str], *, named: bool = True, unchanged: bool = True
) -> tuple[list[str], str, Candidate | None]:
    versions = [version(number, what) for number, what in enumerate(before, 1)]
    file = Candidate(LocalArtifact(FILE.path, "main")) if named else None
    first = choose(versions, file, lambda _: unchanged)
    return list(order(first.candidate)), first.why, first.candidate


@pytest.mark.parametrize(
    ("before", "unchanged", "expected", "why"),
    [
        ([], True, ["FILE"], ""),
        (["file"], True, ["FILE", "version 1"], "hello.py was current, and is loaded as it is now"),
        (["file"], False, ["FILE", "version 1"], "hello.py was current"),
        (["file", "replace"], True, ["version 2", "FILE", "version 1"],
         "it became current after hello.py, which has not changed since; SIGHUP loads hello.py"),
        (["file", "replace"], False, ["FILE", "version 2", "version 1"],
         "hello.py is loaded: it has changed; hotwhisk rollback 2 goes back to generation 2"),
        (["file", "replace", "file"], True, ["FILE", "version 3", "version 2"], "was current"),
        (["file", "replace", "rollback"], True, ["version 3", "FILE", "version 2"], "by rollback"),
        (["other file"], True, ["FILE", "version 1"], "hello.py is loaded: it was not served"),
        (["file", "other file"], True, ["version 2", "FILE", "version 1"], "from a file"),
        (["replace"], True, ["FILE", "version 1"], "it was not served before"),
    ],
)  # fmt: skip
def test_the_newest_change_wins(
    before: list[str], unchanged: bool, expected: list[str], why: str
) -> None:
    tried, said, _ = chosen(before, unchanged=unchanged)
    assert tried == expected
    assert why in said
    assert "\n" not in said


def test_without_a_file_the_version_that_was_current_is_loaded() -> None:
    tried, said, first = chosen(["file", "replace"], named=False)
    assert tried == ["version 2", "version 1"]
    assert said.startswith("generation 2 (by replace, ")
    assert first is not None
    assert (first.generation, first.rollback) == (2, False)
    assert first.fallback is not None
    assert (first.fallback.generation, first.fallback.rollback) == (0, True)


def test_no_more_than_three_versions_are_tried() -> None:
    tried, _, _ = chosen(["replace"] * 9, named=False)
    assert tried == ["version 9", "version 8", "version 7"][:MOST_TRIED]


def test_a_version_that_is_not_kept_is_told_and_an_earlier_one_is_loaded() -> None:
    versions = [version(1, "replace"), version(2, "replace")]
    versions[1].content.file = None
    assert list(order(choose(versions, None, bool).candidate)) == ["version 1"]
    versions[0].content.file = None
    first = choose(versions, None, bool)
    assert (first.candidate, first.why) == (None, "generation 2, which was current, is not kept")
