"""What ``--watch`` sees, where it looks, and what it prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotwhisk.watch.events import SOURCES
from hotwhisk.watch.source_files import changes, folders, read_state


def test_what_has_changed_is_named() -> None:
    known = {"": b"here", "a.py": b"1", "b.py": b"1"}
    assert changes(known, dict(known), "/x/a.py") == ""
    assert changes(known, {**known, "a.py": b"2"}, "/x/a.py") == "a.py changed"
    assert changes(known, {"": b"here", "a.py": b"1"}, "/x/a.py") == "b.py changed"
    assert changes(known, {**known, "c.py": b""}, "/x/a.py") == "c.py changed"
    many = {"": b"here", **{f"{number}.py": b"" for number in range(5)}}
    assert changes({"": b"here"}, many, "/x/a.py") == "0.py, 1.py, 2.py and 2 more changed"
    assert changes(known, {**known, "": b"there"}, "/x/a.py") == "a.py is in another folder"
    assert "\n" not in changes(known, {**known, "c\n.py": b""}, "/x/a.py")


def test_nothing_is_seen_while_the_file_is_away(tmp_path: Path) -> None:
    assert read_state(str(tmp_path / "hello.py")) == {}
    (tmp_path / "hello.py").write_text("")
    assert read_state(str(tmp_path / "hello.py"))["hello.py"] == b""
    assert read_state(str(tmp_path / "absent")) == {}


@pytest.mark.parametrize("head", [b"PK\3\4", b"\x1f\x8b\x08", b"\x7fELF"])
def test_an_archive_is_alone(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "part.py").write_text("")
    (tmp_path / "a.zip").write_bytes(head + b" part ")
    assert set(read_state(str(tmp_path / "a.zip"))) == {"", "a.zip"}


def test_each_folder_and_link_on_the_way_is_watched_for_the_name_that_matters(
    tmp_path: Path,
) -> None:
    real = tmp_path / "real" / "project"
    (real / "package").mkdir(parents=True)
    (real / "hello.py").write_text("")
    (tmp_path / "second").symlink_to("real")
    (tmp_path / "first").symlink_to(tmp_path / "second")
    (real / "linked.py").symlink_to("../elsewhere.py")
    found = folders(str(tmp_path / "first" / "project" / "hello.py"))
    assert {"first", "second", "real"} <= found[str(tmp_path)]
    assert tmp_path.name in found[str(tmp_path.parent)]
    assert {"project", "elsewhere.py"} <= found[str(tmp_path / "real")]
    assert SOURCES in found[str(real)]
    assert SOURCES in found[str(real / "package")]
    assert SOURCES not in found[str(tmp_path)]


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    found = folders(str(tmp_path / "a" / "hello.py"))
    assert {"a", "b"} <= found[str(tmp_path)]
    assert read_state(str(tmp_path / "a" / "hello.py")) == {}
