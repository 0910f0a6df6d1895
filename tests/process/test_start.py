"""The ways to start: a file, a folder, an archive, a module, and a file that calls ``start``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.archives import tar_of, zip_of
from tests.support.client import init_once, run_once
from tests.support.server import ROOT, Server

pytestmark = pytest.mark.slow

BY_NAME = "def main(event): return {'name': __name__, 'package': __package__}\n"
BY_START = """\
from hotwhisk import start
RUN = []
def hello(event): return {"name": __name__, "argv": sys.argv}
import sys
if __name__ == "__main__":
    start(hello)
"""
PACKAGE = {
    "pkg/__init__.py": "TOP = 1\n",
    "pkg/part.py": "PART = 2\n",
    "pkg/by_name.py": "from . import TOP\nfrom .part import PART\n"
    "def main(event): return {'sum': TOP + PART, 'name': __name__, 'package': __package__}\n",
    "pkg/by_start.py": "from hotwhisk import start\nfrom . import TOP\nfrom .part import PART\n"
    "def hello(event): return {'sum': TOP + PART, 'name': __name__, 'package': __package__,"
    " 'spec': __spec__.name}\n"
    "if __name__ == '__main__':\n    start(hello)\n",
    "pkg/sub/__init__.py": "",
    "pkg/sub/__main__.py": "from hotwhisk import start\nfrom ..part import PART\n"
    "def hello(event): return {'part': PART, 'package': __package__}\n"
    "start(hello)\n",
}


def ask(server: Server) -> Any:
    response = run_once(server.address, {"name": "Mike"})
    assert response.status == 200, (response, server.stderr())
    return json.loads(response.body)


def write_all(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def of(python: Sequence[str], run_dir: Path, *arguments: str, env: str = "src") -> Server:
    """Return a server that a user's own command starts."""
    command = [sys.executable, *python, *arguments, "--run-dir", str(run_dir)]
    return Server(command=command, env={"PYTHONPATH": env.replace("src", str(ROOT / "src"))})


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(BY_NAME)
    with Server(str(tmp_path / "hello.py")) as server:
        assert ask(server) == {"name": "main__", "package": ""}
        assert "hello.py is generation 1" in server.stderr()


def test_a_file_with_another_handler(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text("def other(event): return event\n")
    with Server(str(tmp_path / "hello.py"), "--main", "other") as server:
        assert ask(server) == {"name": "Mike"}


FOLDER = {"__main__.py": "from part import PART\ndef main(e): return {'part': PART}\n"}
FOLDER["part.py"] = "PART = 2\n"


def test_a_folder_without_an_entry_is_told_as_that(tmp_path: Path) -> None:
    with Server(str(tmp_path)) as server:
        assert f"the folder {tmp_path} does not include __main__.py" in server.stderr()


def test_a_folder(tmp_path: Path) -> None:
    write_all(tmp_path, FOLDER)
    with Server(str(tmp_path)) as server:
        assert ask(server) == {"part": 2}


@pytest.mark.parametrize(("name", "pack"), [("a.zip", zip_of), ("a.tar.gz", tar_of)])
def test_an_archive(tmp_path: Path, name: str, pack: Any) -> None:
    (tmp_path / name).write_bytes(pack(FOLDER))
    with Server(str(tmp_path / name), "--workers", "2") as server:
        assert ask(server) == {"part": 2}


@pytest.mark.parametrize("name", ["by_name", "by_start"])
def test_a_module(tmp_path: Path, name: str) -> None:
    write_all(tmp_path, PACKAGE)
    with Server("--module", f"pkg.{name}", env={"PYTHONPATH": f"{tmp_path}:src"}) as server:
        answer = ask(server)
        assert (answer["sum"], answer["package"]) == (3, "pkg")
        assert answer["name"] == ("__main__" if name == "by_start" else "pkg.by_name")


def test_a_module_that_is_not_there(tmp_path: Path) -> None:
    with Server("--module", "absent.mod") as server:
        assert "cannot find the module 'absent.mod'" in server.stderr()
        assert "Traceback" not in server.stderr()


def test_python_m(tmp_path: Path) -> None:
    write_all(tmp_path, PACKAGE)
    with of(["-m", "pkg.by_start"], tmp_path / "run", env=f"{tmp_path}:src") as server:
        expected = {"sum": 3, "name": "__main__", "package": "pkg", "spec": "pkg.by_start"}
        assert ask(server) == expected
    with of(["-m", "pkg.sub"], tmp_path / "run", env=f"{tmp_path}:src") as server:
        assert ask(server) == {"part": 2, "package": "pkg.sub"}


def test_python_file(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(BY_START)
    (tmp_path / "json.py").write_text("raise RuntimeError('not for the server')\n")
    with of([str(tmp_path / "hello.py")], tmp_path / "run") as server:
        assert ask(server) == {"name": "__main__", "argv": [""]}
        assert init_once(server.address, "def main(e): return {'new': 1}\n").status == 200
        assert ask(server) == {"new": 1}


def test_a_handler_that_lives_in_another_module(tmp_path: Path) -> None:
    with of([str(ROOT / "examples" / "greeter")], tmp_path / "run") as server:
        assert ask(server) == {"greetings": "Hello, Mike"}


@pytest.mark.parametrize(
    "code", [BY_START, "import hotwhisk\nhotwhisk.start(lambda e: [__name__])\n"]
)
def test_a_posted_source_that_only_calls_start(server: Server, code: str) -> None:
    server.post(code)
    assert "__main__" in str(ask(server))


@pytest.mark.parametrize("define", ["def", "async def"])
def test_ready_runs_before_the_first_request(server: Server, define: str) -> None:
    server.post(
        f"import hotwhisk\nSEEN = []\n@hotwhisk.on_startup\n{define} ready(): SEEN.append('ready')\ndef main(event): return SEEN\n"
    )
    assert ask(server) == ["ready"]


def test_the_error_of_a_handler_shows_the_users_lines_only(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text("def main(event):\n    return 1 / 0\n")
    with Server(str(tmp_path / "hello.py")) as server:
        assert json.loads(run_once(server.address, {}).body) == {
            "error": "ZeroDivisionError: division by zero (hello.py:2)"
        }
        text = server.stderr()
        assert f'File "{tmp_path}/hello.py", line 2, in main' in text
        assert "src/hotwhisk" not in text
