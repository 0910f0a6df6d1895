"""
Built artifacts: the same bytes for the same inputs, and they post and run.
"""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hotwhisk.artifact.artifact import Kind, decode, unpack
from hotwhisk.build import build
from hotwhisk.build.bootstrap import arguments
from hotwhisk.contract import InitRequest
from hotwhisk.errors import UsageError

EXAMPLES = Path(__file__).parents[3] / "examples"
LOAD = """
import sys
from pathlib import Path
import hotwhisk, hotwhisk.action.action as action, hotwhisk.artifact.artifact as artifact
hotwhisk.start = action.hand_over
unpacked = artifact.unpack(Path(sys.argv[1]).read_bytes(), sys.argv[2])
print(action.load(unpacked, "main").call({"name": "Mike"}, None))
"""


@pytest.mark.parametrize("source", ["hello.py", "greeter"])
def test_same_bytes_and_runs(tmp_path: Path, source: str) -> None:
    first = build(EXAMPLES / source, tmp_path / "one")
    again = build(EXAMPLES / source, tmp_path / "two")
    assert first == again
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o755
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]
    command = [sys.executable, "-c", LOAD, str(tmp_path / "one"), str(tmp_path / "code")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "{'greetings': 'Hello, Mike'}\n"


def test_posts_as_broken_base64(tmp_path: Path) -> None:
    build(EXAMPLES / "hello.py", tmp_path / "one", main="hello")
    text = base64.encodebytes((tmp_path / "one").read_bytes()).decode().replace("\n", " ")
    unpacked = unpack(decode(InitRequest("", "main", text, True, {})), str(tmp_path / "code"))
    assert (unpacked.kind, Path(unpacked.entry).name, unpacked.main) == (
        Kind.BUILT,
        "hello.py",
        "hello",
    )
    assert [path.name for path in Path(unpacked.folder).iterdir()] == ["hello.py"]


def test_the_package_imports_from_the_artifact_alone(tmp_path: Path) -> None:
    build(EXAMPLES / "hello.py", tmp_path / "one")
    code = "import sys; sys.path.insert(0, sys.argv[1]); import hotwhisk.action.action as a; print(a.__file__)"
    command = [sys.executable, "-I", "-S", "-c", code, str(tmp_path / "one")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.startswith(str(tmp_path / "one"))


def test_manifest(tmp_path: Path) -> None:
    build(EXAMPLES / "hello.py", tmp_path / "one", name="greet")
    with zipfile.ZipFile(io.BytesIO((tmp_path / "one").read_bytes())) as opened:
        stated = json.loads(opened.read("hotwhisk.json"))
        assert "action/hello.py" in opened.namelist()
        assert "__main__.py" in opened.namelist()
    assert stated["name"] == "greet"
    assert stated["format"] == 2
    assert (stated["python"], stated["platform"], stated["packages"]) == (">=3.11", "any", [])


def test_what_is_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for name in (
        "__main__.py",
        "a.pyc",
        ".git/x",
        "__pycache__/x.pyc",
        ".venv/y",
        "b.py~",
        "data/x.txt",
        "run.sh",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("data")
    (folder / "requirements.txt").touch()
    (folder / "__main__.py").write_text("def main(event): return event\n")
    build(folder, folder / "out")
    build(folder, folder / "out")  # it does not pack itself
    with zipfile.ZipFile(folder / "out") as opened:
        names = {n for n in opened.namelist() if n.startswith("action/")}
    expected = {"__main__.py", "data/x.txt", "run.sh", "link", "requirements.txt"}
    assert names == {f"action/{name}" for name in expected}
    unpacked = unpack((folder / "out").read_bytes(), str(tmp_path / "code"))
    assert os.access(Path(unpacked.folder, "run.sh"), os.X_OK)
    assert Path(unpacked.folder, "link").readlink() == Path("data")


def test_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a folder with __main__\.py"):
        build(tmp_path, tmp_path / "out")
    (tmp_path / "__main__.py").write_text("def main(event): return event\n")
    (tmp_path / "link").symlink_to("/etc/hostname")
    with pytest.raises(UsageError, match="the link link leads out"):
        build(tmp_path, tmp_path / "out")


def test_arguments_of_the_bootstrap() -> None:
    assert arguments([], "/a") == ["serve", "/a"]
    assert arguments(["--port", "1"], "/a") == ["serve", "/a", "--port", "1"]
    assert arguments(["serve", "--port", "1"], "/a") == ["serve", "/a", "--port", "1"]
    assert arguments(["status"], "/a") == ["status"]
