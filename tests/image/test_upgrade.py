"""The FROM line is the upgrade path: a Dockerfile for the official image works with this one."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.archives import zip_of
from tests.support.client import init_once, run_once

from .container import COMPAT, SLIM, Container, docker, python_of, with_index

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

EXTENDED = "hotwhisk-test:extended"
DOCKERFILE = """\
FROM openwhisk/action-python-v3.11
USER root
RUN pip install mpmath==1.3.0
USER nobody
"""
"""A Dockerfile for the official image; only the name of the image is changed."""

PINNED = """
import requests
def main(event):
    return {"version": requests.__version__, "inside": "/virtualenv/" in requests.__file__}
"""
ACTIVATE = """
import os, site, sys
base = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
before = list(sys.path)
site.addsitedir(os.path.join(base, "lib", "python%d.%d" % sys.version_info[:2], "site-packages"))
sys.path[:] = [path for path in sys.path if path not in before] + before
"""


def installed(image: str, folder: Path, *requirements: str) -> Path:
    """Return a folder of wheels for the image's Python, made by this machine's pip."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run(
        [
            *pip, "--target", str(folder), "--no-compile", "--only-binary=:all:",
            "--python-version", python_of(image), *requirements,
        ],
        check=True,
    )  # fmt: skip
    return folder


def packed(folder: Path, prefix: str, files: dict[str, str]) -> bytes:
    inside: dict[str, str | bytes] = {
        f"{prefix}{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return zip_of(inside | files)


def test_an_unedited_dockerfile_is_built_and_serves() -> None:
    official = "openwhisk/action-python-v3.11"
    docker("tag", with_index(COMPAT), official)
    try:
        # From a folder of nothing but the Dockerfile, on standard input.
        docker("build", "--quiet", "--tag", EXTENDED, "-", content=DOCKERFILE.encode())
    finally:
        docker("rmi", "--no-prune", official)
    source = "import mpmath\ndef main(event):\n    return {'pi': str(mpmath.pi)[:6]}\n"
    with Container(EXTENDED, hard=False) as container:
        assert init_once(container.address, source).status == 200
        assert run_once(container.address, {}).json() == {"pi": "3.1415"}
        assert docker("exec", container.identity, "id", "-un") == "nobody"
        assert (
            docker("exec", container.identity, "find", "/tmp", "-user", "root", "-type", "f") == ""
        )


@pytest.mark.parametrize("image", [SLIM, COMPAT])
def test_what_the_image_compiles_its_init_takes(image: str) -> None:
    source = zip_of(
        {
            "__main__.py": "from helper import text\ndef hello(event):\n    return {'text': text}\n",
            "helper.py": "text = 'compiled'\n",
        }
    )
    done = subprocess.run(
        ["docker", "run", "--rm", "-i", image, "-compile", "hello"],
        input=source,
        capture_output=True,
        check=True,
    )
    with zipfile.ZipFile(io.BytesIO(done.stdout)) as archive:
        assert {"exec", "exec.env", "exec__.py", "main__.py"} <= set(archive.namelist())
        wanted = f"openwhisk/action-python-v{python_of(image)}"
        assert archive.read("exec.env").decode() == wanted
    with Container(image) as container:
        assert init_once(container.address, done.stdout).status == 200
        assert run_once(container.address, {}).json() == {"text": "compiled"}


@pytest.mark.parametrize("options", [["--read-only"], ["--read-only", "--tmpfs=/tmp:size=4k"]])
def test_where_there_is_no_room_to_compile_it_is_told_what_is_missing(options: list[str]) -> None:
    done = subprocess.run(
        ["docker", "run", "--rm", "-i", *options, SLIM, "-compile", "main"],
        input=b"def main(event):\n    return {}\n",
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"-compile needs a folder to work in"), done.stderr
    assert b"writable /tmp" in done.stderr


def test_what_was_compiled_for_another_python_is_refused() -> None:
    other = zip_of(
        {"exec": "#!/bin/sh\n", "exec.env": "openwhisk/action-python-v3.7",
         "exec__.py": "from main__ import main as main\n", "main__.py": "def main(e): return {}\n"}
    )  # fmt: skip
    with Container(COMPAT) as container:
        assert init_once(container.address, other).status == 502
        assert "found: openwhisk/action-python-v3.7" in container.logs()


def test_an_action_brings_an_older_library_than_the_image_has(tmp_path: Path) -> None:
    version = python_of(COMPAT)
    folder = installed(COMPAT, tmp_path / "site", "requests==2.25.1")
    prefix = f"virtualenv/lib/python{version}/site-packages/"
    files = {"__main__.py": PINNED, "virtualenv/bin/activate_this.py": ACTIVATE}
    with Container(COMPAT) as container:
        assert init_once(container.address, packed(folder, prefix, files)).status == 200
        assert run_once(container.address, {}).json() == {"version": "2.25.1", "inside": True}


def test_a_folder_that_forbids_to_execute_is_told() -> None:
    """``--tmpfs /tmp`` without ``exec``: a program that was posted cannot be started."""
    options = ("--read-only", "--tmpfs=/tmp:mode=1777", "--user=12345")
    with Container(SLIM, *options, hard=False) as container:
        answer = init_once(container.address, zip_of({"exec": "#!/bin/sh\nread x\n"}))
        assert answer.status == 502
        assert "Permission denied" in container.logs()
