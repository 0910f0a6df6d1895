"""Which actions a project has deployed is known at its next start."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotwhisk.gateway.dev.deployed_names import DeployedNames


def test_names_are_kept_for_each_project(tmp_path: Path) -> None:
    file = str(tmp_path / "deployed.json")
    first, second = DeployedNames(file, "/first"), DeployedNames(file, "/second")
    for name in ("pack/one", "two", "two"):
        first.add(name)
    second.add("three")
    first.remove("two")
    first.remove("absent")
    assert DeployedNames(file, "/first").all() == {"pack/one"}
    assert DeployedNames(file, "/second").all() == {"three"}


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_a_damaged_file_holds_no_names(tmp_path: Path, content: str) -> None:
    file = tmp_path / "deployed.json"
    file.write_text(content)
    names = DeployedNames(str(file), "/first")
    assert names.all() == frozenset()
    names.add("one")
    assert DeployedNames(str(file), "/first").all() == {"one"}


def test_a_file_that_cannot_be_written_holds_up_nothing(tmp_path: Path) -> None:
    names = DeployedNames(str(tmp_path / "missing" / "deployed.json"), "/first")
    names.add("one")
    assert names.all() == {"one"}
