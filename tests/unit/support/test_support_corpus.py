"""The builder of the corpus makes each file once, whole or not at all, and says why it cannot."""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path

import pytest

from tests.support.corpus import cases, tools
from tests.support.corpus.cache import WHOLE, Unbuildable, call, kept
from tests.support.corpus.pack import zip_recursively
from tests.support.corpus.recipes import STEPS


def test_what_was_made_is_kept_until_its_inputs_change(tmp_path: Path) -> None:
    made: list[Path] = []
    first = kept("thing", [b"a", b"b"], made.append, tmp_path)
    assert kept("thing", [b"a", b"b"], made.append, tmp_path) == first
    assert made == [first]
    assert kept("thing", [b"ab", b""], made.append, tmp_path) != first


def test_what_was_not_finished_is_made_again(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        call("the compiler", ["/bin/sh", "-c", "echo no such file; exit 3"], folder)

    with pytest.raises(Unbuildable, match=r"the compiler failed, status 3:\nno such file"):
        kept("thing", [], fail, tmp_path)
    folder = kept("thing", [], lambda folder: (folder / "all").touch(), tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == [WHOLE, "all"]


def test_a_program_that_cannot_be_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Unbuildable, match=r"there is no go, .* apt install golang-go"):
        tools.require("go")


def test_a_zip_holds_modes_and_what_links_lead_to(tmp_path: Path) -> None:
    folder = tmp_path / "action"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "text").write_bytes(b"content")
    (folder / "exec").write_bytes(b"#!/bin/sh\n")
    (folder / "exec").chmod(0o755)
    (folder / "link").symlink_to("data/text")
    (folder / "linked").symlink_to("data")
    for name in ("one.zip", "two.zip"):
        zip_recursively(folder, tmp_path / name)
        os.utime(folder / "exec", (1e9, 1e9))
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        modes = {each.filename: each.external_attr >> 16 for each in archive.infolist()}
        assert archive.read("link") == archive.read("linked/text") == b"content"
    assert set(modes) == {"data/", "data/text", "exec", "link", "linked/", "linked/text"}
    assert stat.S_ISREG(modes["link"])
    assert stat.S_ISDIR(modes["linked/"])
    assert modes["exec"] & 0o777 == 0o755


def test_cases_name_only_steps_and_programs_that_are_known() -> None:
    for case in cases():
        assert set(case.build) <= set(STEPS), case.name
        assert set(case.needs) <= set(tools.PACKAGES), case.name
        forms = [path.name for path in case.folder.glob("action*")]
        assert len(forms) == 1 or (not forms and case.build), case.name
