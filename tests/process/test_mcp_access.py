"""``serve --mcp``: who may call, and how many at a time."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hotwhisk.config.addresses import control_path, server_name
from hotwhisk.config.config import Config
from hotwhisk.mcp.remote_action import RemoteAction
from tests.process.test_watch import wait_note
from tests.support.curl import Page, curl
from tests.support.server import HOTWHISK, Server, mcp_url

pytestmark = pytest.mark.slow

DEADLINE = 20.0
HELLO = "def main(event):\n    return {'hi': 'you'}\n"
WAITING = """
import os, time

def main(event):
    os.close(os.open(event["begun"], os.O_WRONLY))
    while not os.path.exists(event["until"]):
        time.sleep(0.01)
    return {}
"""
SMALL = """
import sys
import hotwhisk.mcp.idle_connections as idle_connections
idle_connections.REQUEST_SECONDS = int(sys.argv.pop(1))
import hotwhisk.mcp.server as server
server.MOST_CONNECTIONS = 4
import hotwhisk.mcp.remote_action as remote_action
remote_action.MOST_CALLS = 1
from hotwhisk.cli import main
sys.exit(main(["serve", *sys.argv[1:]]))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "hello.py"
    found.write_text(HELLO)
    return found


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    found = tmp_path / "token"
    found.write_text("first\n")
    return found


def serve(*arguments: str) -> Server:
    return Server(*arguments, "--mcp", "--mcp-port", "0")


def small(file: Path, seconds: int = 30) -> Server:
    """Return a server for four connections and one call; ``seconds`` is the time for a request."""
    words = (str(file), "--mcp", "--mcp-port", "0", "--run-dir", str(file.parent / "run"))
    return Server(str(seconds), *words, command=(sys.executable, "-c", SMALL))


def ask(url: str, method: str, *options: str, **params: object) -> Page:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return curl(url, "-H", "Content-Type: application/json", "-d", json.dumps(body), *options)


def bearer(token: str) -> tuple[str, str]:
    return "-H", f"Authorization: Bearer {token}"


def test_a_token_that_was_replaced_is_refused_at_the_next_request(
    file: Path, token_file: Path
) -> None:
    with serve(str(file), "--token-file", str(token_file)) as server:
        url = mcp_url(server)
        assert ask(url, "tools/list", *bearer("first")).status == 200
        token_file.write_text("second\n")
        assert ask(url, "tools/list", *bearer("first")).status == 401
        assert ask(url, "tools/list", *bearer("second")).status == 200


def test_whom_the_server_refuses_gets_no_traceback(file: Path, token_file: Path) -> None:
    with serve(str(file), "--watch", "--token-file", str(token_file)) as server:
        file.write_text("missing\n")
        wait_note(server, "raised NameError")
        host, port = server.address
        control = control_path(str(server.run_dir), server_name(host, port))
        action = RemoteAction(Config(host=host, port=port, file=str(file)), control)
        refused = asyncio.run(action.call({}, "Bearer wrong"))
        assert (refused.error, refused.notes) == (True, ())
        called = asyncio.run(action.call({}, "Bearer first"))
        assert called.value == {"hi": "you"}
        assert "NameError" in called.notes[0]


@contextmanager
def by_network(file: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a server that other machines reach; yield it and its first line."""
    words = ("--mcp", "--host", "0.0.0.0", "--port", "0", "--mcp-port", "0")
    with subprocess.Popen(
        [*HOTWHISK, str(file), *words, "--run-dir", str(file.parent / "run"), *arguments],
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stderr is not None
            yield process, process.stderr.readline()
        finally:
            process.terminate()
            process.wait(DEADLINE)


@pytest.mark.parametrize("option", ["--replace-token-file", "--cloudevents"])
def test_on_a_network_a_token_for_calls_is_needed(
    file: Path, token_file: Path, option: str
) -> None:
    value = (str(token_file),) if option == "--replace-token-file" else ()
    with by_network(file, option, *value) as (process, said):
        assert process.wait(DEADLINE) == 2
    assert "without a token; give --token-file FILE" in said


def test_pages_are_refused_also_if_events_come_by_a_network(file: Path, token_file: Path) -> None:
    with by_network(file, "--cloudevents", "--token-file", str(token_file)) as (_, said):
        url = said.split("call the action at ")[1].split()[0]
        given = bearer("first")
        assert ask(url, "ping", *given).status == 200
        assert ask(url, "ping").status == 401
        assert ask(url, "ping", *given, "-H", "Host: page.example").status == 403
        assert ask(url, "ping", *given, "-H", "Origin: http://page.example").status == 403


def connect(server: Server) -> socket.socket:
    port = urlsplit(mcp_url(server)).port
    return socket.create_connection(("127.0.0.1", port), DEADLINE)


def test_a_request_beyond_the_most_connections_gets_503(file: Path) -> None:
    with small(file) as server, ExitStack() as connections:
        assert ask(mcp_url(server), "ping").status == 200
        for _ in range(4):
            connections.enter_context(connect(server))
        assert ask(mcp_url(server), "ping").status == 503


def test_a_connection_without_a_request_is_closed(file: Path) -> None:
    with small(file, seconds=1) as server, connect(server) as connection:
        assert connection.recv(1) == b""


def test_the_tools_are_listed_while_all_calls_wait(file: Path, tmp_path: Path) -> None:
    file.write_text(WAITING)
    begun, until = tmp_path / "begun", tmp_path / "until"
    os.mkfifo(begun)
    with small(file) as server, ThreadPoolExecutor() as threads:
        given = {"name": "hello", "arguments": {"begun": str(begun), "until": str(until)}}
        call = threads.submit(ask, mcp_url(server), "tools/call", **given)
        try:
            begun.read_bytes()  # until the action closes it
            assert "hello" in ask(mcp_url(server), "tools/list").body.decode()
        finally:
            until.touch()
        assert call.result(DEADLINE).json["result"]["isError"] is False
