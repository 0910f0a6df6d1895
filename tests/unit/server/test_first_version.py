"""Which version a server begins with: each row is a case that a user can come into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hotwhisk.artifact import snapshot
from hotwhisk.digest import digest_of
from hotwhisk.server.first_version import MOST_TRIED, choose, digest_at, has_digest
from hotwhisk.supervisor.artifacts import LocalArtifact, StoredArtifact
from hotwhisk.supervisor.commands import Candidate, Origin
from hotwhisk.supervisor.history import Content, Version
from hotwhisk.system.system import System
from tests.support.limits import descriptors_left

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
        yield f"version {first.of}" if first.of else "FILE"
        first = first.instead


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
    assert first.instead is not None
    assert (first.instead.generation, first.instead.rollback) == (0, True)


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


def test_the_digest_of_a_file_and_of_a_folder_is_that_of_the_version(tmp_path: Path) -> None:
    source = b"import part\ndef main(event): return {}\n"
    (tmp_path / "__main__.py").write_bytes(source)
    assert digest_at(f"{tmp_path}/__main__.py") == digest_of(source)
    (tmp_path / "part.py").write_bytes(b"")
    of_file = snapshot.of_file(f"{tmp_path}/__main__.py", source).digest
    of_folder = snapshot.of_folder(str(tmp_path), f"{tmp_path}/__main__.py", source).digest
    assert digest_at(f"{tmp_path}/__main__.py") == of_file
    assert digest_at(str(tmp_path)) == of_folder
    assert has_digest(System(), Origin(str(tmp_path)), of_folder)
    assert not has_digest(System(), Origin(str(tmp_path)), digest_of(b"other"))


def test_what_cannot_be_read_has_changed_and_a_module_has_not(tmp_path: Path) -> None:
    assert not has_digest(System(), Origin(f"{tmp_path}/missing.py"), digest_of(b""))
    assert not has_digest(System(), Origin(str(tmp_path)), digest_of(b""))
    assert has_digest(System(), Origin("hello", module=True), digest_of(b""))


def test_without_descriptors_a_file_has_changed(tmp_path: Path) -> None:
    source = b"def main(event): return {}\n"
    (tmp_path / "hello.py").write_bytes(source)
    system, origin = System(), Origin(f"{tmp_path}/hello.py")
    assert has_digest(system, origin, digest_of(source))
    for count in range(3):
        with descriptors_left(count):
            assert not has_digest(system, origin, digest_of(source))
