"""Clients that open connections and send nothing, or leave in the middle of a request."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import HOTWHISK_UP, GatewayProcess

pytestmark = pytest.mark.slow

IMPATIENT = """
import sys
import hotwhisk.mcp.idle_connections as connections
connections.REQUEST_SECONDS = 1
import hotwhisk.mcp.request_body as request_body
request_body.PART_SECONDS = 0.5
from hotwhisk.cli import main
sys.exit(main(["up", *sys.argv[1:]]))
"""
HEAD = "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
DEADLINE = 10.0


@pytest.fixture(scope="module")
def impatient() -> Iterator[GatewayProcess]:
    """Start a gateway that waits for clients a second instead of half a minute."""
    with GatewayProcess(command=(sys.executable, "-c", IMPATIENT)) as started:
        yield started


def connect(gateway: GatewayProcess, sent: str = "") -> socket.socket:
    made = socket.create_connection(("127.0.0.1", gateway.port), timeout=DEADLINE)
    made.sendall(sent.encode())
    return made


def read_all(connection: socket.socket) -> str:
    """Return what comes until the gateway closes the connection."""
    content = b""
    while part := connection.recv(65536):
        content += part
    return content.decode()


HEALTH = HEAD.format(method="GET", path="/healthz")


@pytest.mark.parametrize("sent", ["", HEALTH])
def test_a_connection_without_a_request_is_closed(impatient: GatewayProcess, sent: str) -> None:
    with connect(impatient, sent) as connection:
        assert read_all(connection) == ""


def test_a_connection_with_half_a_second_request_is_closed(impatient: GatewayProcess) -> None:
    with connect(impatient, f"{HEALTH}\r\n{HEALTH}") as connection:
        answer = read_all(connection)
    assert answer.startswith("HTTP/1.1 200")
    assert answer.endswith("ok\n")


@pytest.mark.parametrize("path", ["/login", "/api/v1/web/guest/default/web"])
def test_a_request_whose_rest_does_not_come_is_refused(
    impatient: GatewayProcess, path: str
) -> None:
    impatient.create(
        "web",
        "def main(args):\n    return {}\n",
        annotations=[{"key": "web-export", "value": True}],
    )
    head = HEAD.format(method="POST", path=path) + "Content-Length: 10\r\n\r\nhalf"
    with connect(impatient, head) as connection:
        answer = read_all(connection)
    assert answer.startswith("HTTP/1.1 408"), answer
    assert "did not come within 0.5 seconds" in answer


def test_a_client_that_leaves_is_no_error_of_the_server(gateway: GatewayProcess) -> None:
    head = HEAD.format(method="POST", path="/login") + "Content-Length: 10\r\n\r\nhalf"
    for _ in range(10):
        connect(gateway, head).close()
    assert gateway.request("GET", "/healthz").status == 200
    gateway.__exit__()
    assert "failed" not in gateway.stderr()
    assert "Traceback" not in gateway.stderr()


def test_the_limit_of_open_files_is_raised() -> None:
    with GatewayProcess(command=("prlimit", "--nofile=64:4096", *HOTWHISK_UP)) as gateway:
        limits = Path(f"/proc/{gateway.process.pid}/limits").read_text().splitlines()
        line = next(line for line in limits if line.startswith("Max open files"))
        assert line.split()[3:5] == ["4096", "4096"]
        connections = [connect(gateway) for _ in range(100)]
        assert gateway.request("GET", "/healthz").status == 200
        for each in connections:
            each.close()
