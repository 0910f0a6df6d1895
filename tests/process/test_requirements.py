"""
``requirements.txt`` in a posted zip or a served folder is installed as the official image
does it.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import wire
from tests.support.archives import zip_of
from tests.support.client import Connection, init_once
from tests.support.server import HOTWHISK, ROOT, Server
from tests.support.waiting import wait_gone
from tests.support.wheels import make_wheel
from tests.support.wire import init_request

from . import control

pytestmark = pytest.mark.slow

MAIN = """\
import os, shutil, subprocess, sys, cheese
def main(event):
    command = shutil.which("cheese-board")
    said = subprocess.run([command], capture_output=True, text=True).stdout if command else ""
    return {"version": cheese.VERSION, "inode": os.stat(cheese.__file__).st_ino, "said": said,
            "in": os.environ.get("VIRTUAL_ENV"), "home": os.getcwd(), "listed": sorted(os.listdir())}
"""
TIME = 60.0


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an index: two versions of a library with a program."""
    folder = tmp_path_factory.mktemp("wheels")
    for version in ("1.0", "2.0"):
        make_wheel(
            folder,
            "cheese",
            version,
            files={
                "cheese.py": f"VERSION = {version!r}\ndef board(): print(VERSION)\n",
                f"cheese-{version}.dist-info/entry_points.txt": (
                    "[console_scripts]\ncheese-board = cheese:board\n"
                ),
            },
        )
    return folder


@pytest.fixture
def index(wheels: Path, tmp_path: Path) -> dict[str, str]:
    """Return the variables that tell both installers this index, and no other."""
    return {
        "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": os.devnull,
        "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(wheels), "UV_CACHE_DIR": str(tmp_path / "cache"),
    }  # fmt: skip


@pytest.fixture(scope="session")
def pythons(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Make environments without uv: one that has pip, and one that has not."""
    found = {}
    for name, flags in {"pip": [], "neither": ["--without-pip"]}.items():
        folder = tmp_path_factory.mktemp("python") / name
        subprocess.run([sys.executable, "-m", "venv", *flags, str(folder)], check=True)
        (packages,) = folder.glob("lib/python*/site-packages")
        (packages / "hotwhisk.pth").write_text(f"{ROOT / 'src'}\n")
        found[name] = folder / "bin" / "python"
    return found


def packed(requirements: str, main: str = MAIN, **more: str) -> bytes:
    return zip_of({"__main__.py": main, "requirements.txt": requirements, **more})


def post(server: Server, content: bytes) -> Any:
    with Connection(server.address, timeout=TIME) as connection:
        connection.send(init_request(content))
        return connection.read_response()


def must_post(server: Server, content: bytes) -> None:
    answer = post(server, content)
    assert answer.status == 200, (answer, server.stderr())


@pytest.mark.parametrize("installer", ["uv", "pip", "neither"])
def test_requirements_of_a_posted_zip_are_installed(
    installer: str, index: dict[str, str], pythons: dict[str, Path], tmp_path: Path
) -> None:
    command = HOTWHISK if installer == "uv" else (str(pythons[installer]), *HOTWHISK[1:])
    arguments = () if installer == "uv" else ("--run-dir", str(tmp_path / "run"))
    (tmp_path / "run").mkdir(mode=0o700)
    env = {**index, "PATH": "/usr/bin:/bin"}
    with Server("--openwhisk", *arguments, command=command, env=env) as server:
        must_post(server, packed("# the board\ncheese==1.0  # not the newest\n"))
        seen = server.call()
        assert (seen["version"], seen["said"]) == ("1.0", "1.0\n")
        assert seen["in"] == seen["home"] + "/virtualenv"
        assert seen["listed"] == ["__main__.py", "main__.py", "requirements.txt", "virtualenv"]
        # The installer's output is not output of the action.
        assert server.stdout() == server.stderr() == "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX\n"


def test_versions_with_the_same_requirements_share_what_is_installed(
    index: dict[str, str],
) -> None:
    with Server(env=index) as server:
        inodes = []
        for requirements, more in [("cheese<2", ""), ("cheese<2", "\n"), ("cheese", "")]:
            must_post(server, packed(requirements, MAIN + more))
            inodes.append(server.call()["inode"])
        assert inodes[0] == inodes[1] != inodes[2]
        assert server.call()["version"] == "2.0"


def test_each_worker_of_a_version_finds_what_was_installed(index: dict[str, str]) -> None:
    with Server("--workers", "3", env=index) as server:
        must_post(server, packed("cheese==1.0"))
        control.wait_until(
            server, lambda found: len(found["generation"]["workers"]) >= 4, "three workers"
        )
        assert {server.call()["version"] for _ in range(9)} == {"1.0"}


def test_requirements_that_cannot_be_installed_are_told_in_the_installers_words(
    index: dict[str, str],
) -> None:
    bad = packed("cheese==7.5")
    with Server(env=index) as server:
        must_post(server, packed("cheese==1.0"))
        refused = post(server, bad)
        assert (refused.status, "cheese==7.5" in refused.error) == (502, True), refused
        assert "requirements.txt cannot be installed" in refused.error
        assert "cheese==7.5" in server.stderr()
        assert server.call()["version"] == "1.0"
    with Server("--openwhisk", env=index) as whisk:
        refused = post(whisk, bad)
        assert (refused.status, "cheese==7.5" in refused.error) == (502, False)
        assert "requirements.txt cannot be installed" in whisk.stderr()
        assert "cheese==7.5" in whisk.stderr()
        assert whisk.stdout() == "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX\n"


def test_a_virtualenv_that_is_there_already_wins(index: dict[str, str]) -> None:
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    own = {f"virtualenv/lib/{version}/site-packages/cheese.py": "VERSION = 'own'\n"}
    with Server(env=index) as server:
        must_post(server, packed("cheese==7.5", **own))
        assert server.call()["version"] == "own"


def test_requirements_of_nothing_install_nothing(index: dict[str, str]) -> None:
    source = "import os\ndef main(event): return sorted(os.listdir())\n"
    with Server(env=index) as server:
        must_post(server, packed("# nothing\n\n", source))
        assert server.call() == ["__main__.py", "main__.py", "requirements.txt"]


def test_requirements_may_name_files_beside_them(wheels: Path) -> None:
    with Server(env={"PIP_NO_INDEX": "1", "UV_NO_INDEX": "1"}) as server:
        lines = "-c limits.txt\n--find-links " + str(wheels) + "\ncheese\n"
        for limit in ("1.0", "2.0"):
            must_post(server, packed(lines, **{"limits.txt": f"cheese=={limit}\n"}))
            assert server.call()["version"] == limit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make an action's folder, as its user has it."""
    made = tmp_path / "board"
    made.mkdir()
    (made / "__main__.py").write_text(MAIN)
    (made / "requirements.txt").write_text("cheese==1.0\n")
    return made


def test_a_served_folder_has_what_it_requires_and_nothing_is_written_there(
    folder: Path, index: dict[str, str]
) -> None:
    before = sorted(folder.rglob("*"))
    with Server(str(folder), env=index, ready_timeout=TIME) as server:
        seen = server.call()
        assert (seen["version"], seen["said"]) == ("1.0", "1.0\n")
    assert sorted(folder.rglob("*")) == before


def test_replace_with_a_folder_installs_too(folder: Path, index: dict[str, str]) -> None:
    with Server(env=index) as server:
        command = [sys.executable, "-m", "hotwhisk", "replace", "--url", server.url, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIME, check=False)
        assert done.returncode == 0, done.stderr
        assert server.call()["version"] == "1.0"


def test_installations_at_once_do_not_collide(index: dict[str, str]) -> None:
    """Run two servers with one cache, and in each of them versions one after the other."""
    statuses: list[int] = []

    def put(server: Server) -> None:
        statuses.append(post(server, packed("cheese==1.0")).status)

    with Server(env=index) as one, Server(env=index) as other:
        threads = [threading.Thread(target=put, args=(each,)) for each in (one, other) * 3]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIME)
        assert statuses == [200] * 6
        assert [each.call()["version"] for each in (one, other)] == ["1.0", "1.0"]


# -- installations that do not end ----------------------------------------------------------


@pytest.fixture
def silent() -> Iterator[str]:
    """Run an index that accepts each connection and answers none."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/simple"


def installers(server: Server) -> list[int]:
    """Return the processes of the server that install."""
    found = []
    for pid in server.left():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:  # it has ended meanwhile
            continue
        if any(word.endswith(b"/requirements.txt") for word in words):
            found.append(pid)
    return found


def test_an_installation_that_does_not_end_is_ended_within_the_time_of_init(
    silent: str, tmp_path: Path
) -> None:
    env = {"UV_CACHE_DIR": str(tmp_path / "cache"), "UV_HTTP_TIMEOUT": "60"}
    hanging = packed(f"--index-url {silent}\ncheese\n")
    with Server("--init-timeout", "4", env=env) as server:
        must_post(server, zip_of({"__main__.py": "def main(event): return [1]\n"}))
        refused = post(server, hanging)
        assert refused.status == 502
        assert "took longer than 3.6 s" in refused.error, refused
        assert "hotwhisk build" in refused.error
        assert not installers(server)
        assert server.call() == [1]


def test_the_platforms_deadline_bounds_an_installation(silent: str, tmp_path: Path) -> None:
    env = {"UV_CACHE_DIR": str(tmp_path / "cache"), "UV_HTTP_TIMEOUT": "60"}
    source = {"__main__.py": "def main(event): return [1]\n"}
    hanging = zip_of({**source, "requirements.txt": f"--index-url {silent}\ncheese\n"})
    with Server("--openwhisk", env=env) as server:
        deadline = str(int(1000 * (time.time() + 4)))
        value = {
            "code": base64.b64encode(hanging).decode(), "binary": True,
            "env": {"__OW_DEADLINE": deadline},
        }  # fmt: skip
        with Connection(server.address, timeout=TIME) as connection:
            connection.send(wire.post("/init", json.dumps({"value": value}).encode()))
            assert connection.read_response().status == 502
        assert "took longer than" in server.stderr()
        assert not installers(server)


def test_an_installer_ends_with_the_worker_that_started_it(silent: str, tmp_path: Path) -> None:
    env = {"UV_CACHE_DIR": str(tmp_path / "cache"), "UV_HTTP_TIMEOUT": "60"}
    with Server(env=env) as server, Connection(server.address, timeout=TIME) as connection:
        connection.send(init_request(packed(f"--index-url {silent}\ncheese\n")))
        control.wait_until(server, lambda _: installers(server), "an installer runs", TIME)
        (installer,) = installers(server)
        loading = control.pid(server, "loading")
        os.kill(loading, 9)
        assert connection.read_response().status == 502
        assert wait_gone(installer, 10.0)
        assert init_once(server.address, "def main(event): return [1]\n").status == 200
