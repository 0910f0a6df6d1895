"""
Libraries in artifacts, from wheels made here: how they are read, refused, checked and
written.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hotwhisk.artifact import artifact, manifest
from hotwhisk.artifact.manifest import Here, Manifest, misfit
from hotwhisk.build import BuildOptions, build, inspection, requirements
from hotwhisk.build.packages import collect
from hotwhisk.build.target import Target, target
from hotwhisk.cli import main
from hotwhisk.cli.bootstrap import about
from hotwhisk.errors import BuildFailed, UsageError
from tests.support.wheels import make_wheel

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
ABI = HERE.replace(".", "")
ACTION = "import tiny\ndef main(event): return {'version': tiny.VERSION}\n"
OTHER = "3.12" if HERE == "3.11" else "3.11"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an action that needs ``tiny``, which only a folder of wheels has."""
    make_wheel(tmp_path / "wheels", "tiny", files={"tiny.py": "VERSION = '1.0'\n", "t.json": "1"})
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "wheels"))
    (tmp_path / "offline.toml").write_text("no-index = true\n")
    monkeypatch.setenv("UV_CONFIG_FILE", str(tmp_path / "offline.toml"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    action = tmp_path / "action"
    action.mkdir()
    (action / "__main__.py").write_text(ACTION)
    (action / "requirements.txt").write_text("tiny==1.0\n")
    return action


def make(source: Path, output: Path, **wishes: Any) -> bytes:
    order = BuildOptions(requirements=requirements.find(source), **wishes)
    build(source, output, options=order)
    return output.read_bytes()


def stated(content: bytes, name: str = "hotwhisk.json") -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        found: dict[str, Any] = json.loads(opened.read(name))
        return found


def names(content: bytes) -> set[str]:
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        return set(opened.namelist())


# -- what is in it -----------------------------------------------------------------------------


def test_libraries_bytecode_and_manifest(folder: Path, tmp_path: Path) -> None:
    content = make(folder, tmp_path / "app")
    site = f"virtualenv/lib/python{HERE}/site-packages"
    tag = sys.implementation.cache_tag
    assert {f"{site}/tiny.py", f"{site}/__pycache__/tiny.{tag}.pyc", f"{site}/t.json"} <= names(
        content
    )
    assert not {name for name in names(content) if name.endswith(("INSTALLER", "direct_url.json"))}
    found = stated(content)
    (row,) = found["packages"]
    assert (row["name"], row["version"], row["tag"]) == ("tiny", "1.0", "py3-none-any")
    assert (found["python"], found["platform"], found["glibc"]) == (HERE, "any", "")
    assert found["bytecode"].startswith(f"{HERE}.")
    assert content.startswith(f"#!/usr/bin/env python{HERE}\n".encode())
    unpacked = artifact.unpack(content, str(tmp_path / "code"))
    code = Path(unpacked.folder, site, "__pycache__", f"tiny.{tag}.pyc").read_bytes()
    assert code[4:8] == b"\x01\0\0\0"  # unchecked hash: no look at the source's date


def test_without_bytecode(folder: Path, tmp_path: Path) -> None:
    content = make(folder, tmp_path / "app", bytecode=False)
    assert not {name for name in names(content) if name.endswith(".pyc")}
    assert stated(content)["bytecode"] == ""


def test_a_zip_for_other_servers(folder: Path, tmp_path: Path) -> None:
    content = make(folder, tmp_path / "a.zip", as_zip=True)
    found = names(content)
    assert {"__main__.py", "virtualenv/bin/activate_this.py", "virtualenv/hotwhisk.json"} <= found
    assert not {name for name in found if name.startswith(("hotwhisk", "action/"))}
    assert (tmp_path / "a.zip").stat().st_mode & 0o111 == 0
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        opened.extractall(tmp_path / "bin")  # it has neither links nor programs
    code = (
        "script = 'virtualenv/bin/activate_this.py'\n"
        "exec(compile(open(script).read(), script, 'exec'), {'__file__': script})\n"
        "from main__ import main; print(main({}))\n"
    )
    (tmp_path / "bin" / "__main__.py").rename(tmp_path / "bin" / "main__.py")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "bin",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("{'version': '1.0'}\n", "")


# -- the same bytes ----------------------------------------------------------------------------


def test_the_same_bytes_elsewhere(folder: Path, tmp_path: Path) -> None:
    """
    The folder, umask, time zone and temporary folder differ, and the files are of
    another day.
    """
    make(folder, tmp_path / "one")
    other = tmp_path / "else where" / "action"
    other.parent.mkdir()
    folder.rename(other)
    for name in ("__main__.py", "requirements.txt"):
        os.utime(other / name, (0, 0))
    (tmp_path / "t m p").mkdir()
    env = {**os.environ, "TZ": "Asia/Tokyo", "TMPDIR": str(tmp_path / "t m p"), "HOME": "/nowhere"}
    env |= {"PYTHONHASHSEED": "7", "UV_CACHE_DIR": str(tmp_path / "other cache"), "LC_ALL": "C"}
    subprocess.run(
        [sys.executable, "-m", "hotwhisk", "build", str(other), "-o", str(tmp_path / "two")],
        env=env, umask=0o077, check=True, capture_output=True,
    )  # fmt: skip
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.dictionaries(
        st.from_regex(r"[a-z]{1,6}(/[a-z]{1,6})?\.(txt|bin)", fullmatch=True),
        st.binary(max_size=64),
        max_size=5,
    ),
    mask=st.sampled_from([0o000, 0o022, 0o077]),
)
def test_order_dates_and_rights_do_not_count(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], mask: int
) -> None:
    made = []
    for order, umask in ((sorted(files), 0o022), (sorted(files, reverse=True), mask)):
        root = tmp_path_factory.mktemp("made")
        old = os.umask(umask)
        try:
            (root / "a").mkdir()
            for name in order:
                (root / "a" / name).parent.mkdir(exist_ok=True)
                (root / "a" / name).write_bytes(files[name])
            (root / "a" / "__main__.py").write_text("def main(event): return event\n")
            build(root / "a", root / "out", name="a")
        finally:
            os.umask(old)
        made.append((root / "out").read_bytes())
    assert made[0] == made[1]


@given(
    st.builds(
        Manifest,
        name=st.text(), entry=st.just("a.py"), main=st.text(), hotwhisk=st.text(),
        digest=st.text(), glibc=st.text(), python=st.text(),
    )
)  # fmt: skip
def test_a_manifest_comes_back(one: Manifest) -> None:
    again = manifest.read(manifest.write(one))
    assert {**vars(again), "packages": ()} == {**vars(one), "packages": (), **_defaults(one)}


def _defaults(one: Manifest) -> dict[str, object]:
    return {name: getattr(one, name) for name in Manifest.fields if name != "packages"}


# -- where requirements are found --------------------------------------------------------------

HEADER = "# /// script\n# dependencies = ['tiny']\n# ///\n"
PROJECT = "[project]\nname='x'\nversion='1'\ndependencies=['tiny']\n"


@pytest.mark.parametrize(
    ("files", "form"),
    [
        ({"__main__.py": HEADER, "requirements.txt": ""}, "a header in the source"),
        ({"pylock.toml": "", "uv.lock": "", "requirements.txt": ""}, "pylock.toml"),
        ({"uv.lock": "", "pyproject.toml": PROJECT}, "uv.lock"),
        ({"requirements.txt": "", "pyproject.toml": PROJECT}, "requirements.txt"),
        ({"pyproject.toml": PROJECT}, "pyproject.toml"),
        ({"pyproject.toml": "[tool.ruff]\nline-length=80\n"}, ""),
        ({}, ""),
    ],
)
def test_found_in_this_order(tmp_path: Path, files: dict[str, str], form: str) -> None:
    for name, text in {"__main__.py": "", **files}.items():
        (tmp_path / name).write_text(text)
    for source in (tmp_path, tmp_path / "__main__.py"):
        found = requirements.find(source)
        assert (found.form.value if found else "") == form


@pytest.mark.parametrize("form", ["script", "pyproject.toml", "pylock.toml", "uv.lock"])
def test_each_form_is_read(folder: Path, tmp_path: Path, form: str) -> None:
    (folder / "requirements.txt").unlink()
    wheel = next((tmp_path / "wheels").iterdir())
    if form == "script":
        (folder / "__main__.py").write_text(HEADER + ACTION)
    else:
        (folder / "pyproject.toml").write_text(PROJECT + "requires-python='>=3.11'\n")
    if form == "uv.lock":
        from hotwhisk.build.resolver import find_uv

        subprocess.run([find_uv(), "lock", "--quiet"], cwd=folder, check=True)
    if form == "pylock.toml":
        (folder / form).write_text(
            'lock-version = "1.0"\ncreated-by = "a test"\n[[packages]]\nname = "tiny"\n'
            f'version = "1.0"\n[[packages.wheels]]\npath = "{wheel}"\n[packages.wheels.hashes]\n'
            f'sha256 = "{artifact.digest_of(wheel.read_bytes()).removeprefix("sha256:")}"\n'
        )
    content = make(folder, tmp_path / "app")
    assert [row["name"] for row in stated(content)["packages"]] == ["tiny"]


# -- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        (f"cp{ABI}-cp{ABI}-manylinux_2_17_s390x", "manylinux_2_17_s390x"),
        (f"cp{ABI}-cp{ABI}-win_amd64", "win_amd64"),
        ("cp39-cp39-manylinux_2_17_x86_64", "cp39"),
    ],
)
def test_a_wheel_for_something_else(folder: Path, tmp_path: Path, tag: str, said: str) -> None:
    make_wheel(tmp_path / "wheels", "alien", tag=tag)
    (folder / "requirements.txt").write_text("alien\n")
    with pytest.raises(BuildFailed, match=rf"(?s)cannot be resolved.*alien.*{said}"):
        make(folder, tmp_path / "app")
    assert not (tmp_path / "app").exists()


def test_a_wheel_that_says_one_thing_outside_and_another_inside(
    folder: Path, tmp_path: Path
) -> None:
    make_wheel(tmp_path / "wheels", "liar", stated="cp39-cp39-win32")
    (folder / "requirements.txt").write_text("liar\n")
    with pytest.raises(BuildFailed, match=r"liar 1\.0 is for cp39-cp39-win32; the target is"):
        make(folder, tmp_path / "app")


def test_an_extension_module_of_another_python(folder: Path, tmp_path: Path) -> None:
    (folder / "fast.cpython-39-x86_64-linux-gnu.so").write_bytes(b"\x7fELF")
    with pytest.raises(BuildFailed, match=r"fast\.cpython-39-.* is for Python 3\.9 on x86_64"):
        make(folder, tmp_path / "app")


def test_what_has_no_wheel(folder: Path, tmp_path: Path) -> None:
    import tarfile

    with tarfile.open(tmp_path / "wheels" / "raw-1.0.tar.gz", "w:gz") as archive:
        text = b"[project]\nname='raw'\nversion='1.0'\n"
        info = tarfile.TarInfo("raw-1.0/pyproject.toml")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    (folder / "requirements.txt").write_text("raw\n")
    with pytest.raises(BuildFailed, match=r"(?s)raw.*--allow-sdist"):
        make(folder, tmp_path / "app")


def test_without_uv(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"pip install '\.\[build\]' in a clone of hotwhisk"):
        make(folder, tmp_path / "app")


def test_without_an_index(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.delenv("UV_CONFIG_FILE")
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{port}/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    (folder / "requirements.txt").write_text("nowhere-to-be-had\n")
    with pytest.raises(BuildFailed, match="the package index cannot be reached") as caught:
        make(folder, tmp_path / "app")
    assert len(str(caught.value).splitlines()) == 1
    assert "refused" in str(caught.value)


def test_a_python_that_the_requirements_exclude(folder: Path, tmp_path: Path) -> None:
    (folder / "__main__.py").write_text(
        "# /// script\n# requires-python = '>=3.99'\n# dependencies = ['tiny']\n# ///\n" + ACTION
    )
    with pytest.raises(UsageError, match=r"wants Python >=3\.99, the target is Python"):
        make(folder, tmp_path / "app")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("bad.py", "x = 1\ndef main(e):\n  return (\n", r"bad\.py is not valid Python: line 3"),
        ("README.md", "# Title\n\nhello world\n", r"README\.md is not valid Python: line 3.*"),
        (
            "notes.md",
            "# only a title\n",
            r"notes\.md has no function 'main'; it has none; expected",
        ),
        ("named.py", "def hello(e): return e\n", "has no function 'main'; it has hello: --main"),
        ("a.zip", "PK\3\4\0", "is not text: expected a .py file"),
    ],
)
def test_what_is_no_action(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises((BuildFailed, UsageError), match=said):
        build(tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_broken_module_of_a_folder(folder: Path, tmp_path: Path) -> None:
    (folder / "helper.py").write_text("x =\n")
    with pytest.raises(BuildFailed, match=r"helper\.py is not valid Python: line 1"):
        make(folder, tmp_path / "app")


@pytest.mark.parametrize(
    "source",
    ["from other import *\n", "globals()['main'] = print\n", "from x import y as main\n",
     "main = lambda e: e\n", "import hotwhisk\nhotwhisk.start(print)\n", "class main: ...\n"],
)  # fmt: skip
def test_a_handler_by_other_ways(tmp_path: Path, source: str) -> None:
    (tmp_path / "a.py").write_text(source)
    build(tmp_path / "a.py", tmp_path / "out")


# -- the end of a build ------------------------------------------------------------------------


def command(*arguments: str, **given: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hotwhisk", "build", *arguments],
        capture_output=True, text=True, check=False, **given,
    )  # fmt: skip


def test_places_where_nothing_can_be_written(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        make(folder, tmp_path)
    with pytest.raises(UsageError, match="there is no folder"):
        make(folder, tmp_path / "no" / "app")


def test_a_full_disk_leaves_the_old_file(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "app").write_text("old")
    limit = 64 << 10  # less than hotwhisk itself needs

    def little_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = command(
        str(folder), "-o", str(tmp_path / "out" / "app"), "--no-requirements",
        preexec_fn=little_room,
    )  # fmt: skip
    assert done.returncode == 2
    assert "cannot be written: File too large" in done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["app"]
    assert (tmp_path / "out" / "app").read_text() == "old"


def test_an_interrupt_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    env = {**os.environ, "TMPDIR": str(tmp_path / "t")}
    del env["UV_CONFIG_FILE"]
    (tmp_path / "t").mkdir()
    (tmp_path / "out").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        env["UV_DEFAULT_INDEX"] = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        (folder / "requirements.txt").write_text("asked-of-the-index\n")
        process = subprocess.Popen(
            [sys.executable, "-m", "hotwhisk", "build", str(folder), "-o", tmp_path / "out" / "app"],
            env=env, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        silent.settimeout(30)
        asked, _ = silent.accept()  # uv waits for an answer now
        with asked:
            os.killpg(process.pid, signal.SIGINT)
            _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "")
    assert not list((tmp_path / "out").iterdir())
    assert not list((tmp_path / "t").iterdir())


@pytest.mark.parametrize("where", ["app", "out/app", "with space"])
def test_it_says_how_to_run_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    where: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    assert main(["build", str(folder), "-o", where]) == 0
    said = capsys.readouterr().out
    assert "with tiny 1.0 from requirements.txt" in said
    shown = {"app": "./app", "out/app": "out/app", "with space": "'./with space'"}[where]
    assert said.endswith(f"run it with: {shown}\n")


# -- targets -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "platform", "uv"),
    [
        ("linux/amd64", "linux/amd64", "x86_64-manylinux_2_28"),
        ("linux/arm64", "linux/arm64", "aarch64-manylinux_2_28"),
        ("linux/arm64/v8", "linux/arm64", "aarch64-manylinux_2_28"),
        ("x86_64", "linux/amd64", "x86_64-manylinux_2_28"),
        ("aarch64", "linux/arm64", "aarch64-manylinux_2_28"),
        ("linux_x86_64", "linux/amd64", "x86_64-manylinux_2_28"),
        ("x86_64-unknown-linux-gnu", "linux/amd64", "x86_64-manylinux_2_28"),
        ("manylinux2014_aarch64", "linux/arm64", "aarch64-manylinux_2_17"),
        ("manylinux_2_36_x86_64", "linux/amd64", "x86_64-manylinux_2_36"),
        ("aarch64-manylinux_2_30", "linux/arm64", "aarch64-manylinux_2_28"),
    ],
)
def test_platforms_by_any_of_their_names(given: str, platform: str, uv: str) -> None:
    found = target("3.12", given)
    assert (found.platform, found.uv_platform) == (platform, uv)


@pytest.mark.parametrize(
    "given", ["3.12", "3.12.4", "python3.12", "py312", "cp312", "CPython-3.12"]
)
def test_pythons_by_any_of_their_names(given: str) -> None:
    assert target(given).python == "3.12"


def test_a_python_by_its_path() -> None:
    found = target(sys.executable)
    assert (found.python, found.interpreter) == (HERE, sys.executable)


@pytest.mark.parametrize(
    ("python", "platform", "said"),
    [
        ("3.9", "", "needs Python 3.11 or newer"),
        ("newest", "", "expected one such as 3.12"),
        ("/no/such/python", "", "cannot be run"),
        ("", "windows", "expected linux/amd64"),
        ("", "musllinux_1_2_x86_64", "is not known"),
    ],
)
def test_targets_that_are_none(python: str, platform: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        target(python, platform)


def test_an_artifact_for_elsewhere_is_refused_by_both_names(folder: Path, tmp_path: Path) -> None:
    make(folder, tmp_path / "app", target=Target(OTHER, "x86_64"))
    with pytest.raises(BuildFailed, match=rf"for Python {OTHER}, this is Python {HERE}"):
        artifact.unpack((tmp_path / "app").read_bytes(), str(tmp_path / "code"))
    assert not (tmp_path / "code").exists()
    content = make(folder, tmp_path / "zip", target=Target(OTHER, "x86_64"), as_zip=True)
    with pytest.raises(BuildFailed, match=rf"for Python {OTHER}, this is Python {HERE}"):
        artifact.unpack(content, str(tmp_path / "code"))


@pytest.mark.parametrize(
    ("python", "platform", "glibc", "said"),
    [
        (">=3.11", "any", "", ""),
        ("3.12", "any", "", ""),
        ("3.12", "linux/amd64", "2.36", ""),
        (
            "3.13",
            "linux/amd64",
            "",
            "for Python 3.13 on linux/amd64, this is Python 3.12 on linux/",
        ),
        (
            "3.12",
            "linux/arm64",
            "",
            "for Python 3.12 on linux/arm64, this is Python 3.12 on linux/",
        ),
        ("3.12", "linux/amd64", "2.39", "glibc 2.39 or newer, this is glibc 2.36"),
    ],
)
def test_what_fits_where(python: str, platform: str, glibc: str, said: str) -> None:
    one = Manifest("a", "a.py", "main", "1", "", python, platform, glibc)
    found = misfit(one, Here("3.12", "linux/amd64", "2.36"))
    assert found == "" if not said else said in found
    if glibc:
        assert "another libc" in misfit(one, Here("3.12", "linux/amd64", ""))


# -- folders of this machine -------------------------------------------------------------------

BACKEND = """
import os, zipfile

def _wheel(folder, files):
    name = "local-1.0-py3-none-any.whl"
    info = "local-1.0.dist-info"
    files[f"{info}/METADATA"] = "Metadata-Version: 2.1\\nName: local\\nVersion: 1.0\\n"
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as archive:
        for each, text in files.items():
            archive.writestr(each, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{each},,\\n" for each in files))
    return name

def build_wheel(folder, config_settings=None, metadata_directory=None):
    return _wheel(folder, {"local.py": "HERE = 'inside'\\n"})

def build_editable(folder, config_settings=None, metadata_directory=None):
    return _wheel(folder, {"local.pth": os.getcwd()})
"""
LOCAL = """
[project]
name = "local"
version = "1.0"
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


def test_what_is_editable_comes_along_all_the_same(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "backend.py").write_text(BACKEND)
    (tmp_path / "local" / "pyproject.toml").write_text(LOCAL)
    (folder / "requirements.txt").write_text("-e ../local\n")
    found = names(make(folder, tmp_path / "app", sdists=True))
    assert [name for name in found if name.endswith(("local.py", ".pth"))] == [
        f"virtualenv/lib/python{HERE}/site-packages/local.py"
    ]


def test_what_stays_on_this_machine_is_refused(tmp_path: Path) -> None:
    info = tmp_path / "local-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: local\nVersion: 1.0\n")
    (info / "direct_url.json").write_text('{"url": "file:///x", "dir_info": {"editable": true}}')
    with pytest.raises(BuildFailed, match=r"local 1\.0 is editable"):
        collect(tmp_path, target())


def test_a_header_counts_after_a_byte_order_mark_and_is_not_passed_over(
    folder: Path, tmp_path: Path
) -> None:
    (folder / "requirements.txt").unlink()
    (folder / "__main__.py").write_text("\ufeff" + HEADER + ACTION)
    assert "tiny" in str(stated(make(folder, tmp_path / "app"))["packages"])
    source = "# -*- coding: latin-1 -*-\n" + HEADER + "# \xe9\n" + ACTION
    (folder / "__main__.py").write_text(source, encoding="latin-1")
    with pytest.raises(UsageError, match="the file is not in UTF-8"):
        requirements.find(folder)


# -- inspect -----------------------------------------------------------------------------------


def test_inspect(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(folder, tmp_path / "app")
    assert main(["inspect", "--json", str(tmp_path / "app")]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {part["name"] for part in report["parts"]} == {"hotwhisk", "tiny 1.0", "the action"}
    assert [cost["module"] for cost in report["imports"]] in ([], ["tiny"])
    assert report["bytes"] == (tmp_path / "app").stat().st_size
    assert main(["inspect", str(tmp_path / "app")]) == 0
    said = capsys.readouterr().out
    assert "its imports were run here" in said
    assert "tiny 1.0" in said
    version = "sha256:" + hashlib.sha256((tmp_path / "app").read_bytes()).hexdigest()
    assert f"  version   {version}\n" in said
    assert f"  sources   {report['manifest']['digest']}\n" in said
    assert report["digest"] == version
    assert f"action ({version[:19]}…), for" in about(["--version"], str(tmp_path / "app"))
    assert main(["inspect", "--no-imports", str(tmp_path / "app")]) == 0
    assert "imports" not in capsys.readouterr().out


def test_inspect_of_imports_that_fail(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "__main__.py").write_text("import nothing_like_it\n" + ACTION)
    make(folder, tmp_path / "app")
    assert main(["inspect", str(tmp_path / "app")]) == 0
    said = capsys.readouterr().out
    assert "its imports fail here" in said
    assert "nothing_like_it" in said


def test_inspect_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("no")
    assert main(["inspect", str(tmp_path / "x")]) == 2


def test_too_large_for_the_platform_names_the_largest_parts(folder: Path, tmp_path: Path) -> None:
    (folder / "model.bin").write_bytes(os.urandom(37 << 20))
    make(folder, tmp_path / "app")
    warning = inspection.too_large((tmp_path / "app").read_bytes())
    assert "OpenWhisk takes 48 MB. What weighs most: the action 37 MB, hotwhisk" in warning
