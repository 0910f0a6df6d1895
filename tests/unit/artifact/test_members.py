"""Looking into an archive without unpacking it."""

from __future__ import annotations

import pytest

from hotwhisk.artifact.archive import FREE_BYTES, damage_errors
from hotwhisk.artifact.members import Member, list_members, read_member
from hotwhisk.errors import BuildFailed
from tests.support.archives import tar_of, zip_of

FILES = {"__main__.py": "def main(event): pass\n", "./lib/x.py": "y = 1\n"}
BOTH = pytest.mark.parametrize("archive", [zip_of(FILES), tar_of(FILES)], ids=["zip", "tar"])


@BOTH
def test_the_files_of_an_archive_are_listed(archive: bytes) -> None:
    assert list_members(archive) == [Member("__main__.py", 22), Member("lib/x.py", 6)]


@BOTH
def test_the_beginning_of_a_file_is_read(archive: bytes) -> None:
    assert read_member(archive, "lib/x.py", 100) == b"y = 1\n"
    assert read_member(archive, "__main__.py", 8) == b"def main"
    assert read_member(archive, "other.py", 8) is None


@BOTH
def test_a_damaged_archive_is_an_error(archive: bytes) -> None:
    with pytest.raises(damage_errors()):
        list_members(archive[: len(archive) // 2])


def test_what_is_no_archive_has_no_files() -> None:
    assert list_members(b"def main(event): pass\n") == []
    assert read_member(b"def main(event): pass\n", "__main__.py", 8) is None


@pytest.mark.slow
def test_a_tar_that_unpacks_to_far_too_much_is_refused() -> None:
    with pytest.raises(BuildFailed, match="unpacks to far more"):
        list_members(tar_of({"main__.py": " " * (2 * FREE_BYTES), "other.py": ""}))
