"""
``serve FILE --watch``: a save replaces, however it is made; a broken one does not.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import tree
from tests.support.client import run_once
from tests.support.server import Server
from tests.support.waiting import wait_gone

pytestmark = pytest.mark.slow

SOURCE = "from part import PART\ndef main(event): return {{'version': {0}, 'part': PART}}\n"


def wait_note(server: Server, text: str) -> None:
    """
    Until the server says that to its service manager.
    """
    server._notify.settimeout(10.0)
    while text not in server._notify.recv(4096).decode():
        pass


def ask(server: Server) -> object:
    return json.loads(run_once(server.address, {}).body)


def write(path: Path, text: str) -> None:
    path.write_text(text)


def rename_over(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.swp")
    fresh.write_text(text)
    fresh.replace(path)


def remove_first(path: Path, text: str) -> None:
    path.rename(path.with_name(path.name + "~"))
    path.write_text(text)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "part.py").write_text("PART = 1\n")
    (tmp_path / "hello.py").write_text(SOURCE.format(1))
    return tmp_path / "hello.py"


@pytest.mark.parametrize("save", [write, rename_over, remove_first])
def test_a_save_replaces(file: Path, save: Callable[[Path, str], None]) -> None:
    with Server(str(file), "--watch") as server:
        assert ask(server) == {"version": 1, "part": 1}
        save(file, SOURCE.format(2))
        wait_note(server, "generation 2 in charge")
        assert ask(server) == {"version": 2, "part": 1}


def test_a_module_beside_and_one_in_a_new_folder(file: Path) -> None:
    with Server(str(file), "--watch") as server:
        file.with_name("part.py").write_text("PART = 2\n")
        wait_note(server, "generation 2 in charge")
        assert ask(server) == {"version": 1, "part": 2}
        file.with_name("package").mkdir()
        (file.parent / "package" / "__init__.py").write_text("PART = 3\n")
        file.write_text("from package import PART\ndef main(event): return {'part': PART}\n")
        wait_note(server, "generation 3 in charge")
        assert ask(server) == {"part": 3}
        (file.parent / "package" / "__init__.py").write_text("PART = 40\n")
        wait_note(server, "generation 4 in charge")
        assert ask(server) == {"part": 40}


def test_a_broken_save_shows_its_error_and_the_version_in_charge_goes_on(file: Path) -> None:
    with Server(str(file), "--watch") as server:
        file.write_text("def main(:\n")
        wait_note(server, "does not compile")
        assert "hello.py does not compile" in server.stderr()
        assert ask(server) == {"version": 1, "part": 1}
        file.write_text(SOURCE.format(3))
        wait_note(server, "STATUS=generation 3 in charge")
        assert ask(server) == {"version": 3, "part": 1}


def test_a_file_that_is_broken_from_the_start(file: Path) -> None:
    file.write_text("def main(:\n")
    with Server(str(file), "--watch") as server:
        file.write_text(SOURCE.format(1))
        wait_note(server, "STATUS=generation 2 in charge")
        assert ask(server) == {"version": 1, "part": 1}


def test_a_folder(file: Path) -> None:
    file.rename(file.with_name("__main__.py"))
    with Server(str(file.parent), "--watch") as server:
        file.with_name("part.py").write_text("PART = 2\n")
        wait_note(server, "generation 2 in charge")
        assert ask(server) == {"version": 1, "part": 2}


def watcher(server: Server) -> int:
    [pid] = [
        pid for pid in server.tree()
        if Path(f"/proc/{pid}/comm").read_text().startswith("hotwhisk:watch")
    ]  # fmt: skip
    return pid


def test_the_watcher_ends_with_the_server_and_keeps_nothing_open(file: Path) -> None:
    with Server(str(file), "--watch") as server:
        pid = watcher(server)
        assert not [name for name in tree.descriptors(pid) if name.startswith("socket:")]
        os.kill(server.pid, signal.SIGKILL)
        assert wait_gone(pid, 10.0)
        server.wait(10.0)


def test_the_server_outlives_its_watcher(file: Path) -> None:
    with Server(str(file), "--watch") as server:
        pid = watcher(server)
        os.kill(pid, signal.SIGKILL)
        assert wait_gone(pid, 10.0)
        assert ask(server) == {"version": 1, "part": 1}
        server.terminate()
        assert server.wait(10.0) == 0
