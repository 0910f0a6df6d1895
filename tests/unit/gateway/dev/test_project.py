"""Which actions a path holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotwhisk.errors import UsageError
from hotwhisk.gateway.dev.project import Source, open_project


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("def main(event): return {}\n")
    return folder


def test_a_file_and_a_folder_are_one_action_each(tmp_path: Path) -> None:
    make(tmp_path, "hello.py", "greet/__main__.py", "greet/part.py")
    file, folder = str(tmp_path / "hello.py"), str(tmp_path / "greet")
    assert open_project(file).sources() == [Source("", "hello", file)]
    assert open_project(f"{folder}/").sources() == [Source("", "greet", folder)]
    assert open_project(folder).sources()[0].entry == f"{folder}/__main__.py"


def test_packages_have_files_and_folders(tmp_path: Path) -> None:
    make(
        tmp_path,
        "packages/default/one.py",
        "packages/pack/two.py",
        "packages/pack/three/__main__.py",
        "packages/pack/three/part.py",
        "packages/top.py",
        "packages/whole/__main__.py",
        "packages/pack/.hidden.py",
        "packages/pack/__pycache__/x.py",
        "packages/pack/no_action/part.py",
    )
    for given in (tmp_path, tmp_path / "packages"):
        project = open_project(str(given))
        assert project.root == str(tmp_path)
        shown = [source.shown for source in project.sources()]
        assert shown == ["one", "pack/three", "pack/two", "top", "whole"]


def test_a_project_is_found_through_links(tmp_path: Path) -> None:
    make(tmp_path, "real/hello.py")
    (tmp_path / "link").symlink_to("real")
    project = open_project(str(tmp_path / "link" / "hello.py"))
    assert project.path == str(tmp_path / "real" / "hello.py")
    assert project.shown(project.path) == "hello.py"
    assert project.shown("/elsewhere/x\n.py") == "'/elsewhere/x\\n.py'"


def test_a_path_without_an_action_is_refused(tmp_path: Path) -> None:
    make(tmp_path, "loose/a.py", "empty/packages/pack/data/x.txt", "text.txt")
    for given, told in (
        ("absent", "there is no such file or folder; expected a .py file"),
        ("text.txt", "is not a Python source; expected a .py file"),
        ("loose", "give the path of one .py file in it, or put those that are actions in"),
        ("empty", "holds no action; expected"),
    ):
        with pytest.raises(UsageError, match=told):
            open_project(str(tmp_path / given))
