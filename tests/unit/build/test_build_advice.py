"""Notes about sources: what is missing, left out, or looks as if it should not be there."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotwhisk.build import advice
from hotwhisk.build.layout import Members
from hotwhisk.build.sources import is_left_out
from hotwhisk.cli import main
from hotwhisk.errors import BuildFailed

HANDLER = "def main(event):\n    return {}\n"


def test_a_file_that_imports_a_module_beside_it_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hello.py").write_text(f"import json, helper\nfrom pack.deep import x\n{HANDLER}")
    (tmp_path / "helper.py").touch()
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").touch()
    assert main(["build", "hello.py"]) == 1
    said = capsys.readouterr().err
    assert "hello.py imports helper, pack, beside it" in said
    assert "mkdir app && cp hello.py app/__main__.py && cp -r helper.py pack app/" in said
    assert "hotwhisk build app" in said
    assert not (tmp_path / "hello").exists()


@pytest.mark.parametrize(
    "source",
    [
        f"import json\n{HANDLER}",
        f"import hotwhisk, hello\n{HANDLER}",
        f"from . import helper\n{HANDLER}",
        f"import helpers\n{HANDLER}",
    ],
)
def test_a_file_that_needs_nothing_beside_it_is_not_spoken_of(tmp_path: Path, source: str) -> None:
    for name in ("helper.py", "hello.py", "hotwhisk.py"):
        (tmp_path / name).touch()
    (
        tmp_path / "helpers"
    ).mkdir()  # not a package: an installed library of that name is imported first
    assert advice.refuse_lone_file(tmp_path / "hello.py", source.encode()) == []


@pytest.mark.parametrize(
    "source",
    ["def main(e):\n    import helper\n", "try:\n    import helper\nexcept ImportError: pass\n"],
)
def test_an_import_that_may_never_happen_is_a_note(tmp_path: Path, source: str) -> None:
    (tmp_path / "helper.py").touch()
    (note,) = advice.refuse_lone_file(tmp_path / "hello.py", source.encode())
    assert note.startswith("hello.py may import helper, beside it")
    with pytest.raises(BuildFailed):
        advice.refuse_lone_file(tmp_path / "hello.py", b"import helper\n" + source.encode())


@pytest.mark.parametrize(
    ("imports", "missing"),
    [
        ("import json, helper, requests.adapters", "requests"),
        ("from numpy import array\nimport pandas", "numpy, pandas"),
        ("import packed.part, single, vendored, namespace.part", ""),
        ("try:\n    import requests\nexcept ImportError: pass", ""),
        ("this is not Python of today", ""),
    ],
)
def test_an_import_that_nothing_declares_is_a_note(
    tmp_path: Path, imports: str, missing: str
) -> None:
    entry = tmp_path / "hello.py"
    entry.write_text(imports)
    own = "virtualenv/lib/python3.12/site-packages/vendored/__init__.py"
    members: Members = dict.fromkeys(("hello.py", "helper.py", own), (0o644, b""))
    names = ("packed/__init__.py", "single.cpython-312.so", "namespace/part.py")
    packages: Members = dict.fromkeys(names, (0o644, b""))
    notes = advice.undeclared(entry, members, packages)
    assert len(notes) == bool(missing)
    assert not missing or notes[0].startswith(f"hello.py imports {missing}, which nothing declares")


@pytest.mark.parametrize(
    "name",
    [
        "#hello.py#",
        ".#hello.py",
        "hello.py~",
        ".hello.py.swp",
        ".hello.py.swo",
        ".hello.py.swn",
        ".x.swa",
    ],
)
def test_files_of_emacs_and_vim_are_left_out(name: str) -> None:
    assert is_left_out(name)


@pytest.mark.parametrize(
    "name", ["#hello.py", "hello.swift", ".swiftlint", "a#b#", ".env", "swp.py"]
)
def test_other_names_are_not(name: str) -> None:
    assert not is_left_out(name)


def test_what_is_left_out_or_looks_private_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "app"
    for name in (
        ".env", "config/prod.pem", "node_modules/left-pad/index.js", ".git/config", "helper.py~",
        "__pycache__/x.pyc", "data/secret_santa.txt", "credentials.json",
    ):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    (folder / "__main__.py").write_text(HANDLER)
    (folder / ".#helper.py").symlink_to("mike@box.4711:1")  # a lock of Emacs leads nowhere
    monkeypatch.chdir(tmp_path)
    assert main(["build", "app", "--no-requirements"]) == 0
    out, err = capsys.readouterr()
    assert "left out: .#helper.py, .git, helper.py~\n" in err
    assert "looks private or unused: .env, config/prod.pem, credentials.json, node_modules;" in err
    assert "built app.pyz" in out


def test_a_build_has_a_name_for_its_output_and_overwrites_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hello.py").write_text(HANDLER)
    assert main(["build", "hello.py"]) == 0
    assert main(["build", "hello.py"]) == 0  # an artifact from an earlier build is replaced
    assert main(["build", "hello.py", "--format", "zip"]) == 0
    assert {path.name for path in tmp_path.iterdir()} >= {"hello", "hello.zip"}
    (tmp_path / "hello").write_text("a diary")
    assert main(["build", "hello.py"]) == 2
    assert "hello exists and is no artifact; name the file to write: -o FILE" in (
        capsys.readouterr().err
    )
    assert main(["build", "none.py"]) == 2
    assert "there is no none.py" in capsys.readouterr().err
