"""The content of a version in a file: written, read, and damaged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hotwhisk.artifact import version_file
from hotwhisk.errors import BuildFailed


@pytest.fixture
def held() -> tuple[int, int, int]:
    """Return a content of five bytes that is held in memory."""
    memory = os.memfd_create("content")
    os.write(memory, b"beforehelloafter")
    return memory, 6, 5


def written(path: Path, held: tuple[int, int, int]) -> int:
    with path.open("xb", buffering=0) as file:
        return version_file.write(file.fileno(), held)


def test_a_content_is_read_as_it_was_held(tmp_path: Path, held: tuple[int, int, int]) -> None:
    path = tmp_path / "1.version"
    assert written(path, held) == path.stat().st_size
    assert version_file.read(str(path)) == b"hello"


def test_each_byte_that_is_damaged_or_missing_is_found(
    tmp_path: Path, held: tuple[int, int, int]
) -> None:
    path = tmp_path / "1.version"
    written(path, held)
    whole = path.read_bytes()
    cut = [whole[:at] for at in range(len(whole))]
    changed = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(len(whole))]
    for damaged in (*cut, *changed, whole + b"!"):
        path.write_bytes(damaged)
        with pytest.raises(BuildFailed, match="is damaged"):
            version_file.read(str(path))


def test_what_is_not_a_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(__file__)
    for name in ("pipe", "folder", "link", "missing"):
        with pytest.raises(BuildFailed, match="cannot read the kept version"):
            version_file.read(str(tmp_path / name))
