"""``hotwhisk new``: a folder that works at once."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hotwhisk.cli import main
from tests.support.client import run_once
from tests.support.server import Server


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.slow
def test_the_test_passes_and_the_folder_is_served(tmp_path: Path) -> None:
    done = make(tmp_path, "-m", "hotwhisk", "new", "my-action")
    assert done.returncode == 0, done.stderr
    assert "cd my-action && python -m pytest\n" in done.stdout
    done = make(tmp_path / "my-action", "-W", "error", "-m", "pytest")
    assert "2 passed" in done.stdout, done.stdout
    with Server(str(tmp_path / "my-action")) as server:
        assert run_once(server.address, {"name": "Mike"}).json() == {"greeting": "Hello, Mike"}


def test_what_is_printed_names_the_files_and_the_next_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "deep/two words/my_action"]) == 0
    made, *steps = capsys.readouterr().out.splitlines()
    names = made.partition(": ")[2].split(", ")
    assert all((tmp_path / "deep/two words/my_action" / name).is_file() for name in names)
    assert "test_my_action.py" in names
    assert steps[1] == "develop:  cd 'deep/two words/my_action' && hotwhisk dev ."
    assert steps[2] == "serve it: cd 'deep/two words/my_action' && hotwhisk serve --watch ."


def test_an_empty_folder_is_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hello").mkdir()
    monkeypatch.chdir(tmp_path / "hello")
    assert main(["new", "."]) == 0
    assert "serve it: hotwhisk serve --watch .\n" in capsys.readouterr().out
    assert Path("test_hello.py").is_file()


def test_the_debug_configuration_is_what_vs_code_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "hello"]) == 0
    text = Path("hello/.vscode/launch.json").read_text(encoding="utf-8")
    document = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    tests, worker = document["configurations"]
    assert (tests["request"], tests["module"]) == ("launch", "pytest")
    assert (worker["request"], worker["processId"]) == ("attach", "${command:pickProcess}")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("my action", '"my action" cannot name an action: .*; for example: hotwhisk new my-action'),
        ("2nd", "for example: hotwhisk new nd"),
        ("über", "for example: hotwhisk new ber"),
        ("7", "for example: hotwhisk new hello"),
        ("a" * 65, "64 at most"),
        ("used", "used exists and is not empty; give another name, or an empty folder"),
        ("file", "file is a file; give another name"),
        ("file/below", "cannot be made: Not a directory; name a folder where you may write"),
    ],
)
def test_a_name_that_will_not_do_is_refused_with_what_would(
    name: str,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("used").mkdir()
    Path("used/__main__.py").touch()
    before = sorted(tmp_path.rglob("*"))
    assert main(["new", name]) == 2
    assert re.search(says, capsys.readouterr().err)
    assert sorted(tmp_path.rglob("*")) == before
