"""
Requests that a web page could send are refused, and so is every request without a
required token.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.actions import version_source
from tests.support.client import Connection
from tests.support.server import Server
from tests.support.wire import Response, init_body, post, run_body

from . import control

TOKEN = "correct-horse"
INIT = init_body(version_source(2))
RUN = run_body({"token": "t"})


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as started:
        started.post(version_source(1))
        yield started


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Server]:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    with Server("--token-file", str(file)) as started:
        yield started


def send(server: Server, path: str, body: bytes, *headers: str, host: str = "") -> Response:
    request = post(path, body, *headers)
    if host:
        request = request.replace(b"Host: 127.0.0.1\r\n", f"Host: {host}\r\n".encode(), 1)
    with Connection(server.address) as connection:
        connection.send(request)
        return connection.read_response()


def expect_untouched(server: Server) -> None:
    assert control.status(server)["generation"]["number"] == 1
    assert send(server, "/run", RUN).value("version") == 1


@pytest.mark.parametrize(("path", "body"), [("/init", INIT), ("/run", RUN)])
@pytest.mark.parametrize(
    "header",
    [
        "Origin: http://evil.example",
        "Origin: null",
        "Origin: http://127.0.0.1:8080",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-origin",
        "Sec-Fetch-Site: same-site",
    ],
)
def test_page_is_refused(server: Server, path: str, body: bytes, header: str) -> None:
    response = send(server, path, body, header)
    assert response.status == 403
    assert header.partition(":")[0] in str(response.error) or "page" in str(response.error)
    expect_untouched(server)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil:8080"])
def test_foreign_host_is_refused(server: Server, host: str) -> None:
    response = send(server, "/init", INIT, host=host)
    assert response.status == 403
    assert "--allow-host" in str(response.error)
    expect_untouched(server)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8080", "LOCALHOST", "[::1]:8080"])
def test_loopback_is_served(server: Server, host: str) -> None:
    assert send(server, "/run", RUN, "Sec-Fetch-Site: none", host=host).status == 200


def test_page_learns_nothing_by_preflight(server: Server) -> None:
    with Connection(server.address) as connection:
        connection.send(
            b"OPTIONS /init HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.example\r\n"
            b"Access-Control-Request-Method: POST\r\n\r\n"
        )
        response = connection.read_response()
    assert response.status == 403
    assert not [name for name in response.headers if name.startswith("access-control")]


def test_refused_request_leaves_the_next_one_alone(server: Server) -> None:
    with Connection(server.address) as connection:
        connection.send(post("/init", INIT, "Origin: http://evil.example") + post("/run", RUN))
        assert connection.read_response().status == 403
        assert connection.read_response().value("version") == 1


def test_allowed_hosts_are_served() -> None:
    with Server("--allow-host", "action.example,Other.example") as server:
        server.post(version_source(1))
        for host in ("action.example", "other.EXAMPLE:80", "127.0.0.1"):
            assert send(server, "/run", RUN, host=host).status == 200
        assert send(server, "/run", RUN, host="third.example").status == 403
        assert send(server, "/run", RUN, "Origin: http://action.example").status == 403


@pytest.mark.parametrize("path", ["/init", "/run"])
@pytest.mark.parametrize(
    "header", [None, "Bearer wrong", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xe9"]
)
def test_no_or_wrong_token(guarded: Server, path: str, header: str | None) -> None:
    headers = () if header is None else (f"Authorization: {header}",)
    response = send(guarded, path, INIT if path == "/init" else RUN, *headers)
    assert response.status == 401
    told = {
        None: "send the header Authorization: Bearer TOKEN",
        f"Basic {TOKEN}": "of the form: Bearer",
    }
    assert told.get(header, "the token is not this server's") in str(response.error)
    assert control.status(guarded)["generation"]["number"] == 0


def test_right_token(guarded: Server) -> None:
    header = f"Authorization: Bearer {TOKEN}"
    assert send(guarded, "/init", INIT, header).status == 200
    assert send(guarded, "/run", RUN, header).value("version") == 2
    assert send(guarded, "/run", RUN).status == 401


def test_action_does_not_find_the_token(guarded: Server) -> None:
    source = "import os\ndef main(event): return dict(os.environ)\n"
    header = f"Authorization: Bearer {TOKEN}"
    assert send(guarded, "/init", init_body(source), header).status == 200
    environment = send(guarded, "/run", RUN, header).json()
    assert TOKEN not in str(environment)
    assert not [name for name in environment if "TOKEN_FILE" in name]
