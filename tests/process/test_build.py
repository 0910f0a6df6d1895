"""Built artifacts: posted, served by ``hotwhisk serve``, and serving alone."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hotwhisk.build import build
from tests.support.client import Connection, init_once, run_once
from tests.support.server import ROOT, Server
from tests.support.wire import post

pytestmark = pytest.mark.slow

HELLO = ROOT / "examples" / "hello.py"
CIAO = ROOT / "examples" / "ciao.py"
NO_ACTION = {"error": "the action failed to locate a binary"}


def ask(server: Server, name: str | None = "Mike") -> object:
    return json.loads(run_once(server.address, {"name": name} if name else {}).body)


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    build(HELLO, tmp_path / "hello")
    return tmp_path / "hello"


@pytest.fixture
def ciao(tmp_path: Path) -> Path:
    build(CIAO, tmp_path / "ciao")
    return tmp_path / "ciao"


def test_the_transcript(hello: Path, ciao: Path) -> None:
    with Server() as server:
        play(server, hello, ciao)


def play(server: Server, hello: Path, ciao: Path) -> None:
    assert ask(server) == NO_ACTION
    for built, answer in ((hello, {"greetings": "Hello, Mike"}), (ciao, {"saluti": "Ciao, Mike"})):
        # As an unquoted $(base64 hello) of a shell puts it.
        code = base64.encodebytes(built.read_bytes()).decode().replace("\n", " ")
        body = json.dumps({"value": {"binary": True, "code": code}}).encode()
        with Connection(server.address) as connection:
            connection.send(post("/init", body, "Content-Type: application/x-www-form-urlencoded"))
            response = connection.read_response()
        assert (response.status, response.body) == (200, b'{"ok":true}\n')
        assert ask(server) == answer
    assert ask(server, None) == {"error": "ValueError: no name specified (ciao.py:7)"}


def test_serve_takes_one(hello: Path) -> None:
    with Server(str(hello), "--workers", "2") as server:
        assert ask(server) == {"greetings": "Hello, Mike"}


def alone(built: Path, *arguments: str, **env: str) -> Server:
    """Return a server that is the artifact as a program: hotwhisk comes from inside it."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    run_dir = ("--run-dir", str(built.parent / "run"))
    return Server(command=[str(built), *arguments, *run_dir], env={"PATH": path, **env})


def test_one_serves_alone_and_is_replaced(hello: Path, ciao: Path) -> None:
    with alone(hello, PYTHONPATH="") as server:
        assert ask(server) == {"greetings": "Hello, Mike"}
        assert init_once(server.address, ciao.read_bytes()).status == 200
        assert ask(server) == {"saluti": "Ciao, Mike"}
        assert ask(server, None) == {"error": "ValueError: no name specified (ciao.py:7)"}


def test_one_that_is_built_anew_while_it_serves(hello: Path) -> None:
    # What is imported late must not be read from a file that has changed.
    with alone(hello, PYTHONPATH="") as server:
        build(CIAO, hello)
        for code in ("async def main(e): return e\n", "def main(e): return e\n"):
            server.post(code)
            assert ask(server) == {"name": "Mike"}
        server.post(hello.read_bytes())
        assert ask(server) == {"saluti": "Ciao, Mike"}


def test_one_listens_on_the_port_that_the_environment_names(hello: Path) -> None:
    # The port is held by this test, so the refusal says which one was wanted.
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        env = {**os.environ, "PORT": str(port), "PYTHONPATH": ""}
        env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
        done = subprocess.run([str(hello)], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert str(port) in done.stderr
