"""Where the data of a project lie."""

from __future__ import annotations

from hotwhisk.gateway.dev.dev import data_of
from hotwhisk.gateway.dev.project import Project


def test_each_path_has_a_folder_outside_the_project() -> None:
    environ = {"XDG_DATA_HOME": "/data"}
    first, again, other = (
        data_of(Project(path, is_single=True), environ)
        for path in ("/x/hello.py", "/x/hello.py", "/y/hello.py")
    )
    assert first == again != other
    assert first.startswith("/data/hotwhisk/dev/hello.py-")
