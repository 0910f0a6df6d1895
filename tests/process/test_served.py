"""A version that is served where it lies is like a posted one: kept whole, with a digest."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.process import control
from tests.process.test_watch import wait_note
from tests.support.client import init_once, run_once
from tests.support.server import ROOT, Server
from tests.support.waiting import wait_gone

pytestmark = pytest.mark.slow

MAIN = "from part import PART\ndef main(event): return {'part': PART}\n"
BY_START = (
    "from hotwhisk import start\nfrom part import PART\n"
    "def main(event): return {'part': PART}\nif __name__ == '__main__':\n    start(main)\n"
)
LAZY = "def main(event):\n    import part\n    return {'part': part.PART}\n"
WAYS = ("file", "folder", "module", "python -m", "start", "workers")


@contextmanager
def served(way: str, folder: Path, text: str = "") -> Iterator[Server]:
    """Serve the sources in a folder, ``part.py`` among them, given in one of the `WAYS`."""
    paths = {"PYTHONPATH": f"{folder}:{ROOT / 'src'}"}
    (folder / "part.py").write_text("PART = 1\n")
    name = "__main__.py" if way == "folder" else "hello.py"
    by_start = way in ("python -m", "start")
    (folder / name).write_text(text or (BY_START if by_start else MAIN))
    options = ["--crash-count", "1000"]  # workers are killed between requests
    options += ["--workers", "2"] if way == "workers" else []
    if by_start:
        how = ["-m", "hello"] if way == "python -m" else [str(folder / name)]
        server = Server(command=[sys.executable, *how, *options], env=paths)
        server.command += ["--run-dir", str(server.run_dir)]
    elif way == "module":
        server = Server("--module", "hello", *options, env=paths)
    else:
        server = Server(str(folder if way == "folder" else folder / name), *options)
    with server:
        yield server


def digest(server: Server) -> str:
    """Return the digest, which is the same in the status, in each answer, and in the log line."""
    found = str(control.status(server)["generation"]["digest"])
    assert found in run_once(server.address, {}).headers["hotwhisk-generation"]
    return found


def kill_workers(server: Server) -> None:
    """Kill every worker that serves, so that fresh ones load the version."""
    for pid in control.pids(server, "serving"):
        os.kill(pid, signal.SIGKILL)
        assert wait_gone(pid, 10.0)


def reload(server: Server, expected: str) -> None:
    os.kill(server.pid, signal.SIGHUP)
    wait_note(server, expected)


@pytest.mark.parametrize("way", WAYS)
def test_a_version_is_kept_whole_however_it_is_given(way: str, tmp_path: Path) -> None:
    with served(way, tmp_path) as server:
        assert server.call() == {"part": 1}
        first = digest(server)
        (tmp_path / "part.py").write_text("PART = 2\n")
        kill_workers(server)
        assert server.call() == {"part": 1}
        reload(server, "generation 2 current")
        assert server.call() == {"part": 2}
        second = digest(server)
        assert first != second
        assert control.command(server, "rollback").returncode == 0
        assert digest(server) == first
        assert server.call() == {"part": 1}
        kill_workers(server)
        assert server.call() == {"part": 1}


@pytest.mark.parametrize("way", WAYS)
def test_after_a_refused_save_fresh_workers_have_the_good_version(way: str, tmp_path: Path) -> None:
    with served(way, tmp_path) as server:
        (tmp_path / "part.py").write_text("PART = undefined\n")
        reload(server, "NameError")
        kill_workers(server)
        assert server.call() == {"part": 1}
        (tmp_path / "part.py").unlink()
        reload(server, "No module named 'part'")
        kill_workers(server)
        assert server.call() == {"part": 1}


@pytest.mark.parametrize("way", ["file", "folder", "module"])
def test_a_module_that_is_imported_late_is_of_the_version(way: str, tmp_path: Path) -> None:
    with served(way, tmp_path, LAZY) as server:
        (tmp_path / "part.py").write_text("PART = 2\n")
        assert server.call() == {"part": 1}


def test_a_package_and_what_it_imports_relatively(tmp_path: Path) -> None:
    package = tmp_path / "part"
    (package / "sub").mkdir(parents=True)
    (package / "__init__.py").write_text("from .sub.deep import PART\n")
    (package / "sub" / "deep.py").write_text("PART = 1\n")
    (tmp_path / "hello.py").write_text(MAIN)
    with Server(str(tmp_path / "hello.py")) as server:
        first = digest(server)
        (package / "sub" / "deep.py").write_text("PART = 2\n")
        kill_workers(server)
        assert server.call() == {"part": 1}
        reload(server, "generation 2 current")
        assert server.call() == {"part": 2}
        assert digest(server) != first


@pytest.mark.parametrize("way", ["file", "folder", "start"])
def test_it_is_served_after_its_folder_is_gone(way: str, tmp_path: Path) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    with served(way, folder) as server:
        shutil.rmtree(folder)
        kill_workers(server)
        assert server.call() == {"part": 1}


def test_files_beside_are_read_and_written_where_they_lie(tmp_path: Path) -> None:
    source = (
        "import os\nHERE = os.path.dirname(os.path.abspath(__file__))\n"
        "def main(event):\n"
        "    with open(HERE + '/notes', 'a') as file: file.write('x')\n"
        "    return {'cwd': os.getcwd(), 'file': __file__, 'notes': open('notes').read()}\n"
    )
    (tmp_path / "hello.py").write_text(source)
    with Server(str(tmp_path / "hello.py")) as server:
        here = {"cwd": str(tmp_path), "file": str(tmp_path / "hello.py")}
        assert server.call() == {**here, "notes": "x"}
        kill_workers(server)
        assert server.call() == {**here, "notes": "xx"}
        reload(server, "generation 2 current")
        assert server.call() == {**here, "notes": "xxx"}
    assert (tmp_path / "notes").read_text() == "xxx"


def test_the_digest_of_a_folder_covers_what_is_packed(tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_text("def main(event): return {}\n")
    (tmp_path / "texts").mkdir()
    data = tmp_path / "texts" / "greeting.txt"
    with Server(str(tmp_path)) as server:
        seen = {digest(server)}
        for number, text in enumerate(("a", "b", "c"), 2):
            data.write_text(text)
            reload(server, f"generation {number} current")
            seen.add(digest(server))
        assert len(seen) == 4
        for noise in ("__pycache__", "node_modules", ".git", "venv"):
            (tmp_path / noise).mkdir()
            (tmp_path / noise / "file").write_text(noise)
        reload(server, "generation 5 current")
        assert digest(server) in seen


def test_a_file_that_is_alone_has_the_digest_that_it_has_when_posted(tmp_path: Path) -> None:
    source = "def main(event): return {}\n"
    (tmp_path / "hello.py").write_text(source)
    (tmp_path / "unrelated.py").write_text("")
    with Server(str(tmp_path / "hello.py")) as server:
        first = digest(server)
        assert init_once(server.address, source).status == 200
        assert digest(server) == first


def test_a_module_of_the_name_of_one_of_the_standard_library(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("PART = 'mine'\n")
    (tmp_path / "hello.py").write_text("import json\ndef main(event): return [json.PART]\n")
    with Server(str(tmp_path / "hello.py")) as server:
        assert server.call() == ["mine"]
        (tmp_path / "json.py").unlink()
        kill_workers(server)
        assert server.call() == ["mine"]


def test_a_traceback_shows_the_file_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "part.py").write_text("def work():\n    raise ValueError('no')\n")
    (tmp_path / "hello.py").write_text("import part\ndef main(event): return part.work()\n")
    with Server(str(tmp_path / "hello.py")) as server:
        run_once(server.address, {})
        control.status(server)
        assert f'File "{tmp_path}/part.py", line 2, in work' in server.stderr()
