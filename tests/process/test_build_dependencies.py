"""
Build actions with real libraries from the real index, post them to a running server, and call them.

uv keeps what it fetched in its own cache; the first run needs the network.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hotwhisk.build import BuildOptions, build, requirements
from hotwhisk.build.target import Target
from tests.process.test_build import alone
from tests.process.test_proxy_flags import by_exec, compiled
from tests.support.client import Connection, init_once, run_once
from tests.support.server import Server
from tests.support.wire import ClientError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

# Versions of which there are wheels for this Python; each old one differs from ours.
if sys.version_info < (3, 13):
    OLD_NUMPY, NEW_NUMPY, OLD_NATIVE = "numpy==1.26.4", "numpy>=2", {"orjson": "3.10.7"}
elif sys.version_info < (3, 15):
    OLD_NUMPY, NEW_NUMPY, OLD_NATIVE = "numpy==2.3.4", "numpy>=2.3.5", {"orjson": "3.11.3"}
else:
    OLD_NUMPY, NEW_NUMPY, OLD_NATIVE = "numpy==2.5.4", "numpy>=2.5.5", {"numpy": "2.5.4"}

OLDER = (OLD_NUMPY, "attrs==22.2.0")
NEWER = (NEW_NUMPY, "attrs>=24")

VERSIONS = """\
import attrs, importlib.metadata, numpy, os

def main(event):
    return {
        "numpy": numpy.__version__, "metadata": importlib.metadata.version("numpy"),
        "attrs": importlib.metadata.version("attrs"), "sum": int(numpy.arange(10).sum()),
        "inode": os.stat(numpy.__file__).st_ino, "mark": "MARK",
    }
"""

LIGHT = """\
import markupsafe, markupsafe._speedups as native, os

def main(event):
    return {"is": str(markupsafe.escape("<")), "inode": os.stat(native.__file__).st_ino}
"""

LIBRARIES = {
    "pandas": ("pandas", "int(pandas.Series([1, 2, 3]).sum())", 6),
    "requests": ("requests", "requests.Request('GET', 'http://a/', params={'b': 1}).prepare().url", "http://a/?b=1"),
    "pydantic": ("pydantic", "pydantic.create_model('M', n=(int, 1))(n='5').n", 5),
    "jinja2": ("jinja2", "jinja2.Template('{{ a }}!').render(a='hi')", "hi!"),
    "pillow": ("PIL.Image", "list(PIL.Image.new('RGB', (2, 2), 'red').getpixel((0, 0)))", [255, 0, 0]),
    "cryptography": (
        "cryptography.fernet",
        ("cryptography.fernet.MultiFernet([cryptography.fernet.Fernet("
        "cryptography.fernet.Fernet.generate_key())]).encrypt(b'x')[:1].decode()"),
        "g",
    ),
}  # fmt: skip


def make(folder: Path, source: str, *needs: str, order: BuildOptions | None = None) -> bytes:
    """Return an artifact of one source and the libraries that it needs."""
    folder.mkdir(parents=True)
    (folder / "__main__.py").write_text(source)
    (folder / "requirements.txt").write_text("".join(f"{need}\n" for need in needs))
    wanted = order or BuildOptions(requirements=requirements.find(folder))
    build(folder, folder.with_suffix(".app"), options=wanted)
    return folder.with_suffix(".app").read_bytes()


def posted(server: Server, content: bytes) -> None:
    response = init_once(server.address, content, timeout=120.0)
    assert response.status == 200, response.body


def asked(server: Server) -> dict[str, object]:
    found: dict[str, object] = json.loads(run_once(server.address, {}, timeout=60.0).body)
    return found


@contextmanager
def under_load(server: Server) -> Iterator[list[dict[str, object]]]:
    """Run four callers, each on a kept connection; yield their answers."""
    answers: list[dict[str, object]] = []
    lost: list[str] = []
    enough = threading.Event()

    def call() -> None:
        try:
            with Connection(server.address, timeout=120.0) as connection:
                while not enough.is_set():
                    answers.append(json.loads(connection.run({}).body))
        except (ClientError, ValueError) as error:
            lost.append(repr(error))

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    try:
        yield answers
    finally:
        enough.set()
        for caller in callers:
            caller.join(120.0)
    assert not lost


def test_two_versions_of_native_libraries_follow_each_other(tmp_path: Path) -> None:
    older = make(tmp_path / "older", VERSIONS, *OLDER)
    newer = make(tmp_path / "newer", VERSIONS, *NEWER)
    edited = make(tmp_path / "edited", VERSIONS.replace("MARK", "EDITED"), *NEWER)
    with Server() as server:
        posted(server, older)
        before = asked(server)
        with under_load(server) as answers:
            posted(server, newer)
            after = asked(server)
            posted(server, edited)
            last = asked(server)
            posted(server, older)
            again = asked(server)
        assert before["numpy"] == before["metadata"] == OLD_NUMPY.partition("==")[2]
        assert before["attrs"] == "22.2.0"
        assert after["numpy"] == after["metadata"] != before["numpy"]
        assert str(after["attrs"]) > "24"
        assert answers
        assert all(answer in (before, after, last, again) for answer in answers)
        # The libraries were unpacked once: for the edited action, and for the one that came back.
        assert (last["mark"], last["inode"]) == ("EDITED", after["inode"])
        assert again["inode"] == before["inode"]
        kept = [path for path in server.run_dir.glob("*/packages/*") if path.name[0] != "."]
        assert len(kept) == 2


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_real_library(tmp_path: Path, name: str) -> None:
    module, expression, expected = LIBRARIES[name]
    source = f"import {module}\ndef main(event):\n    return {{'is': {expression}}}\n"
    content = make(tmp_path / "action", source, name)
    with Server() as server:
        server.post("def main(event): return {'is': 'before'}")
        with under_load(server) as answers:
            posted(server, content)
            assert asked(server) == {"is": expected}
        assert all(answer in ({"is": "before"}, {"is": expected}) for answer in answers)


def test_the_actions_own_version_goes_before_the_servers(tmp_path: Path) -> None:
    older = {"packaging": "23.0", **OLD_NATIVE}
    source = (
        "import importlib, importlib.metadata\n"
        "def main(event):\n"
        f"    found = {{name: importlib.import_module(name).__version__ for name in {list(older)}}}\n"
        "    return found | {'metadata': importlib.metadata.version('packaging')}\n"
    )
    for name, version in older.items():
        assert importlib.metadata.version(name) != version, "the server's own must differ"
    content = make(tmp_path / "a", source, *(f"{name}=={each}" for name, each in older.items()))
    with Server() as server:
        posted(server, content)
        assert asked(server) == {**older, "metadata": "23.0"}


def test_alone_and_by_several_workers(tmp_path: Path) -> None:
    make(tmp_path / "action", LIGHT, "markupsafe")
    with alone(tmp_path / "action.app", "--workers", "2", PYTHONPATH="") as server:
        assert asked(server)["is"] == "&lt;"
    done = subprocess.run(
        [sys.executable, str(tmp_path / "action.app"), "--version"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("action (sha256:")


def test_a_zip_is_taken_and_shares_libraries(tmp_path: Path) -> None:
    folder = tmp_path / "action"
    make(folder, LIGHT, "markupsafe")
    order = BuildOptions(requirements=requirements.find(folder), as_zip=True)
    build(folder, tmp_path / "action.zip", options=order)
    content = (tmp_path / "action.zip").read_bytes()
    (_, answer) = by_exec(compiled(content), tmp_path / "there", {"value": {}})
    with Server() as server:
        posted(server, content)
        first = asked(server)
        assert answer == {**first, "inode": answer["inode"]}  # as the official launcher has it
        posted(server, content)
        assert asked(server) == first


def test_for_elsewhere_refused_at_init_by_both_names(tmp_path: Path) -> None:
    folder = tmp_path / "action"
    folder.mkdir()
    (folder / "__main__.py").write_text(LIGHT)
    (folder / "requirements.txt").write_text("markupsafe\n")
    machine = "aarch64" if Target("3.12", "x86_64").platform in _here() else "x86_64"
    other = "3.12" if sys.version_info[:2] != (3, 12) else "3.13"
    order = BuildOptions(Target(other, machine), requirements.find(folder))
    built = build(folder, tmp_path / "app", options=order)
    assert built.manifest.platform not in _here()
    with Server() as server:
        response = init_once(server.address, (tmp_path / "app").read_bytes())
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    text = json.loads(response.body)["error"]
    assert response.status == 502
    assert f"for Python {other} on {built.manifest.platform}, this is Python {here} on" in text


@pytest.mark.parametrize("profile", [(), ("--openwhisk",)], ids=["plain", "openwhisk"])
@pytest.mark.parametrize("log_init_error", ["", "1"])
def test_a_built_file_for_elsewhere_ends_its_server_with_the_reason(
    tmp_path: Path, profile: tuple[str, ...], log_init_error: str
) -> None:
    folder = tmp_path / "action"
    make(folder, LIGHT, "markupsafe")
    other = "3.12" if sys.version_info[:2] != (3, 12) else "3.13"
    order = BuildOptions(Target(other, "x86_64"), requirements.find(folder))
    build(folder, tmp_path / "app", options=order)
    said = tmp_path / "said"
    said.touch()
    done = subprocess.run(
        [
            sys.executable, str(tmp_path / "app"), "--port", "0", *profile,
            "--run-dir", str(tmp_path / "run"), "--termination-log", str(said),
        ],
        capture_output=True, text=True, timeout=30, check=False,
        env={**os.environ, "OW_LOG_INIT_ERROR": log_init_error},
    )  # fmt: skip
    assert done.returncode == 1
    assert f"hotwhisk: the artifact is for Python {other}" in done.stderr
    assert "build it with --python" in done.stderr
    assert "the artifact is for Python" in said.read_text()
    assert "serving on" not in done.stderr


def _here() -> str:
    from hotwhisk.artifact.built import here

    return here().platform
