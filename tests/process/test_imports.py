"""
Check what a load imports: what the action needs, and nothing of the server's.

Each module that a new worker has to find and run is time in every ``/init``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.archives import zip_of
from tests.support.client import Address, run_once
from tests.support.server import Server

pytestmark = pytest.mark.slow

# It is the first finder: it notes which module is looked for, and finds none.
_NOTES = """\
import os, sys

class Notes:
    @staticmethod
    def find_spec(name, path=None, target=None):
        with open({file!r}, "a") as file:
            file.write(f"{{os.getpid()}} {{name}}\\n")

sys.meta_path.insert(0, Notes)
"""
_ACTION = """\
import os
import colorsys

{define} main(event):
    return {{"pid": os.getpid()}}
"""
_PLAIN = _ACTION.format(define="def")
_ASYNC = _ACTION.format(define="async def")
_STARTS = _PLAIN + "\nimport hotwhisk\nhotwhisk.start(main)\n"
_WITH_A_HELPER = _PLAIN.replace("import colorsys", "import helper")

_OF_THE_STANDARD_LIBRARY = {
    "__future__", "_ast", "_collections", "_contextvars", "_ctypes", "_functools", "_json",
    "_math_integer", "_operator", "_py_warnings", "_sha2", "_sha256", "_socket", "_sre", "_struct",
    "_types", "_weakrefset", "array", "atexit", "binascii", "collections", "contextlib", "copyreg",
    "ctypes", "enum", "errno", "fcntl", "functools", "gc", "importlib", "io", "itertools", "json",
    "keyword", "math", "mmap", "operator", "re", "reprlib", "resource", "select", "signal", "struct",
    "sysconfig", "termios", "threading", "types", "warnings", "zlib",
}  # fmt: skip
"""
What supervisor and worker may import of it. `typing` is not there, nor `socket` and `traceback`:
docs/performance.md says how much memory each of them costs.
"""


class Notes:
    """The modules that each process of a server looked for."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "imports"
        (folder / "sitecustomize.py").write_text(_NOTES.format(file=str(self._file)))
        self.env = {"PYTHONPATH": str(folder)}

    def of_worker(self, address: Address) -> list[str]:
        """Let the action answer twice; return what its worker looked for since it was forked."""
        for _ in range(2):
            answered = run_once(address, {})
            assert answered.status == 200, answered
        pid = json.loads(answered.body)["pid"]
        return self.of_process(pid)

    def of(self, code: str) -> set[str]:
        """Return what a fresh Python looks for that runs this code."""
        with subprocess.Popen([sys.executable, "-c", code], env=os.environ | self.env) as process:
            assert not process.wait(10.0)
        return set(self.of_process(process.pid))

    def of_process(self, pid: int) -> list[str]:
        lines = [line.split() for line in self._file.read_text().splitlines()]
        return [name for noted, name in lines if int(noted) == pid]


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    folder = tmp_path / "notes"
    folder.mkdir()
    return Notes(folder)


def test_a_server_imports_this_much_of_the_standard_library(notes: Notes) -> None:
    with Server("--openwhisk", env=notes.env) as server:
        server.post(_PLAIN)
        assert run_once(server.address, {}).status == 200
        found = set(notes.of_process(server.pid)) - notes.of("import runpy")
    ours = {"hotwhisk", "orjson"}  # orjson is only looked for
    assert {name.partition(".")[0] for name in found} <= _OF_THE_STANDARD_LIBRARY | ours


@pytest.mark.parametrize("profile", [(), ("--openwhisk",)], ids=["plain", "openwhisk"])
@pytest.mark.parametrize("code", [_PLAIN, _STARTS], ids=["main", "start"])
def test_a_load_imports_what_the_action_asks_for_and_nothing_of_ours(
    notes: Notes, profile: tuple[str, ...], code: str
) -> None:
    with Server(*profile, env=notes.env) as server:
        server.post(code)
        assert notes.of_worker(server.address) == ["colorsys"]


def test_the_load_of_a_zip_imports_what_unpacks_it_and_nothing_else_of_ours(notes: Notes) -> None:
    with Server(env=notes.env) as server:
        server.post(zip_of({"__main__.py": _WITH_A_HELPER, "helper.py": "import colorsys"}))
        found = notes.of_worker(server.address)
    assert found[-2:] == ["helper", "colorsys"]
    assert set(found[:-2]) <= notes.of("import zipfile, encodings.cp437")


@pytest.mark.parametrize("how", ["file", "folder", "start"])
def test_a_served_action_imports_what_it_asks_for_and_nothing_of_ours(
    notes: Notes, tmp_path: Path, how: str
) -> None:
    folder = tmp_path / "action"
    folder.mkdir()
    file = folder / "__main__.py"
    file.write_text(_STARTS if how == "start" else _PLAIN)
    with Server(str(folder if how == "folder" else file), env=notes.env) as server:
        assert notes.of_worker(server.address) == ["colorsys"]


def test_an_asynchronous_action_has_asyncio_imported_and_nothing_else_of_ours(
    notes: Notes,
) -> None:
    with Server(env=notes.env) as server:
        server.post(_ASYNC)
        found = notes.of_worker(server.address)
    assert found[0] == "colorsys"
    assert set(found[1:]) <= notes.of("import asyncio, inspect")


def test_a_library_installed_since_the_start_is_found_by_the_next_version(tmp_path: Path) -> None:
    here, later = tmp_path / "here", tmp_path / "later"
    here.mkdir()
    with Server(env={"PYTHONPATH": f"{here}:{later}"}) as server:
        server.post("import os\ndef main(event):\n    return {}")
        later.mkdir()
        for folder in (here, later):
            (folder / f"from_{folder.name}.py").touch()
        server.post("import from_here, from_later\ndef main(event):\n    return {}")
