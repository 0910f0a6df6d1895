"""The libraries that a ``requirements.txt`` names, and whether versions can share them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotwhisk.action import installation


@pytest.mark.parametrize(
    ("content", "asked"),
    [
        (b"", False),
        (b"# nothing\n\n  \n", False),
        (b"requests\n", True),
        (b"\xef\xbb\xbfrequests", True),
    ],
)
def test_a_file_asks_for_something_or_not(tmp_path: Path, content: bytes, asked: bool) -> None:
    (tmp_path / "requirements.txt").write_bytes(content)
    assert bool(installation.wanted(str(tmp_path))) is asked
    (tmp_path / "virtualenv").mkdir()
    assert not installation.wanted(str(tmp_path))


def test_a_folder_without_the_file_asks_for_nothing(tmp_path: Path) -> None:
    assert installation.wanted(str(tmp_path)) == b""
    (tmp_path / "requirements.txt").mkdir()
    assert installation.wanted(str(tmp_path)) == b""


@pytest.mark.parametrize(
    ("line", "local"),
    [
        ("requests", False),
        ("requests[socks]>=2 ; python_version < '4'", False),
        ("--index-url https://index.example/simple", False),
        ("--extra-index-url https://index.example/simple", False),
        ("-i https://index.example/simple", False),
        ("--no-binary :all:", False),
        ("--pre", False),
        ("cheese @ https://index.example/cheese.whl", False),
        ("git+https://git.example/cheese.git@v1", False),
        ("-r more.txt", True),
        ("-rmore.txt", True),
        ("--requirement=more.txt", True),
        ("-c limits.txt", True),
        ("-e .", True),
        (".", True),
        ("./cheese", True),
        ("wheels/cheese-1.0-py3-none-any.whl", True),
        ("cheese-1.0-py3-none-any.whl", True),
        ("cheese @ file:///wheels/cheese.whl", True),
        ("--find-links wheels", True),
    ],
)
def test_a_line_that_names_a_file_beside_it_is_found(line: str, local: bool) -> None:
    assert installation.names_a_file(line) is local
