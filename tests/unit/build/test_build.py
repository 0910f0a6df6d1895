"""Built artifacts: the same bytes for the same inputs, and they post and run."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from hotwhisk.artifact.artifact import Kind, unpack
from hotwhisk.artifact.posted_code import decode
from hotwhisk.build import BuildOptions, build
from hotwhisk.build.actionloop_compile import compile_action
from hotwhisk.build.target import target
from hotwhisk.cli import main
from hotwhisk.cli.bootstrap import arguments
from hotwhisk.errors import BuildFailed, UsageError
from hotwhisk.openwhisk.bodies import InitRequest

EXAMPLES = Path(__file__).parents[3] / "examples"
LOAD = """
import sys
from pathlib import Path
import hotwhisk, hotwhisk.action.action as action, hotwhisk.artifact.artifact as artifact
hotwhisk.start = action.register_handler
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
    found = sorted(path.name for path in Path(unpacked.folder).iterdir())
    assert found == ["hello.py", "main__.py"]  # the second is a link, for child processes


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


MAIN = "def main(event): return event\n"


@pytest.fixture
def action(tmp_path: Path) -> Path:
    """Make a folder with an entry and nothing else."""
    folder = tmp_path / "action"
    folder.mkdir()
    (folder / "__main__.py").write_text(MAIN)
    return folder


@pytest.mark.parametrize("as_zip", [False, True])
def test_an_entry_may_be_a_link(action: Path, tmp_path: Path, as_zip: bool) -> None:
    (action / "__main__.py").rename(action / "app.py")
    (action / "__main__.py").symlink_to("app.py")
    build(action, tmp_path / "out", options=BuildOptions(as_zip=as_zip))
    unpacked = unpack((tmp_path / "out").read_bytes(), str(tmp_path / "code"))
    assert Path(unpacked.entry).read_text() == MAIN


def test_links_that_lead_nowhere_else_are_refused(action: Path, tmp_path: Path) -> None:
    (action / ".venv").mkdir()
    for place in ("../action/__main__.py", ".venv", f"{action}/__main__.py"):
        (action / "link").symlink_to(place)
        with pytest.raises(UsageError, match="the link link leads out"):
            build(action, tmp_path / "out")
        (action / "link").unlink()


def test_links_in_a_circle_lead_to_nothing_and_stay(action: Path, tmp_path: Path) -> None:
    (action / "a").symlink_to("b")
    (action / "b").symlink_to("a")
    build(action, tmp_path / "out")
    unpacked = unpack((tmp_path / "out").read_bytes(), str(tmp_path / "code"))
    assert Path(unpacked.folder, "a").readlink() == Path("b")


def test_a_virtual_environment_keeps_its_links_to_a_python(action: Path, tmp_path: Path) -> None:
    (action / "virtualenv" / "bin").mkdir(parents=True)
    (action / "virtualenv" / "bin" / "python").symlink_to(sys.executable)
    build(action, tmp_path / "out")
    unpacked = unpack((tmp_path / "out").read_bytes(), str(tmp_path / "code"))
    assert Path(unpacked.folder, "virtualenv/bin/python").readlink() == Path(sys.executable)


def test_the_source_is_not_overwritten(action: Path) -> None:
    for source in (action, action / "__main__.py"):
        with pytest.raises(UsageError, match="is the source itself"):
            build(source, action / "__main__.py")
    assert (action / "__main__.py").read_text() == MAIN


def test_a_name_that_no_zip_can_hold_is_told(action: Path, tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(action) + b"/caf\xe9.txt")).touch()
    with pytest.raises(UsageError, match="is not UTF-8: rename it"):
        build(action, tmp_path / "out")
    assert os.listdir(tmp_path) == ["action"]


def test_a_folder_that_cannot_be_read_is_not_left_out(action: Path, tmp_path: Path) -> None:
    # Too deep to be opened by its path, which not even root can do.
    here = os.open(action, os.O_RDONLY)
    try:
        for _ in range(20):
            os.mkdir("d" * 250, dir_fd=here)
            below = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
    finally:
        os.close(here)
    with pytest.raises(UsageError, match="cannot be read: File name too long"):
        build(action, tmp_path / "out")


def test_the_longest_name_can_be_written(action: Path, tmp_path: Path) -> None:
    build(action, tmp_path / ("n" * 255))
    assert sorted(os.listdir(tmp_path)) == ["action", "n" * 255]


def test_what_another_build_is_writing_is_left_out(
    action: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(BaseException):
        pass

    def killed(path: Path, target: Path) -> None:
        os.link(path, tmp_path / "left")
        raise Stopped(path.name)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(Stopped) as stopped:
        build(action, action / "out")
    monkeypatch.undo()
    build(action, tmp_path / "alone")
    os.rename(tmp_path / "left", action / str(stopped.value))
    build(action, tmp_path / "beside")
    assert (tmp_path / "alone").read_bytes() == (tmp_path / "beside").read_bytes()


def test_an_interpreter_that_ends_at_once_is_named(action: Path, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\ncase "$*" in *version_info*) exec {sys.executable} "$@";; esac\nexit 5\n'
    )
    python.chmod(0o755)
    for number in range(4000):  # so many names that a pipe does not take them
        (action / f"{'m' * 100}{number}.py").touch()
    order = BuildOptions(target=target(str(python)))
    with pytest.raises(BuildFailed, match="could not compile, it ended: 5"):
        build(action, tmp_path / "out", options=order)


def test_no_place_for_temporary_files_is_no_traceback(
    action: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    assert main(["build", str(action), "-o", str(tmp_path / "out")]) == 1
    assert "No such file or directory" in capsys.readouterr().err


def test_compiled_bytes_do_not_depend_on_the_umask() -> None:
    made = set()
    for umask in (0o022, 0o077):
        before = os.umask(umask)
        try:
            made.add(compile_action(MAIN.encode(), "main", {}))
        finally:
            os.umask(before)
    assert len(made) == 1


def test_the_name_of_a_folder_has_no_ending(tmp_path: Path) -> None:
    for source, name in ((tmp_path / "v1.2.beta", "v1.2.beta"), (tmp_path / "v1.2.py", "v1.2")):
        entry = source if source.suffix == ".py" else source / "__main__.py"
        entry.parent.mkdir(exist_ok=True)
        entry.write_text(MAIN)
        assert build(source, tmp_path / "out").manifest.name == name


def test_arguments_of_the_bootstrap() -> None:
    assert arguments([], "/a") == ["serve", "/a"]
    assert arguments(["--port", "1"], "/a") == ["serve", "/a", "--port", "1"]
    assert arguments(["serve", "--port", "1"], "/a") == ["serve", "/a", "--port", "1"]
    assert arguments(["lambda"], "/a") == ["lambda", "--artifact", "/a"]
    assert arguments(["status"], "/a") == ["status"]
