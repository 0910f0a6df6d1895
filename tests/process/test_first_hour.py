"""Mistakes of a user in the first hour, and what the server says about them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import Connection, Response, init_once, run_once
from tests.support.server import HOTWHISK, ROOT, Server
from tests.support.wire import post

pytestmark = pytest.mark.slow

ROME = "def main(event):\n    return capital(event['city'])\n\ndef capital(city):\n    return {'Paris': {}}[city]\n"


def error_of(response: Response) -> str:
    text = json.loads(response.body)["error"]
    assert isinstance(text, str)
    return text


def run_body(server: Server, body: object, *lines: str, host: str = "127.0.0.1") -> Response:
    request = post("/run", json.dumps(body).encode(), *lines)
    with Connection(server.address) as connection:
        connection.send(request.replace(b"Host: 127.0.0.1\r\n", f"Host: {host}\r\n".encode()))
        return connection.read_response()


def hotwhisk(
    *arguments: str, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if name != "PORT"}
    environ |= {"PYTHONPATH": str(ROOT / "src"), **(env or {})}
    return subprocess.run(
        [sys.executable, "-m", "hotwhisk", *arguments],
        cwd=cwd, env=environ, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip


@pytest.fixture
def hello(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "hello.py").write_text(ROME)
    return tmp_path / "hello.py"


def test_an_error_of_the_action_bears_its_kind_and_its_line(hello: Path) -> None:
    with Server(str(hello)) as server:
        response = run_once(server.address, {"city": "Rome"})
        assert (response.status, error_of(response)) == (200, "KeyError: 'Rome' (hello.py:5)")
        assert error_of(run_once(server.address, {})) == "KeyError: 'city' (hello.py:2)"
    with Server("--openwhisk", "--host", "127.0.0.1", str(hello)) as server:
        assert error_of(run_once(server.address, {"city": "Rome"})) == "'Rome'"


def test_an_event_without_value_around_it_is_refused_with_what_to_send(hello: Path) -> None:
    with Server(str(hello)) as server:
        response = run_body(server, {"city": "Rome"})
        assert response.status == 400
        assert 'send {"value": {"city":"Rome"}}' in error_of(response)
        response = run_body(server, {"value": 3})
        assert response.status == 400
        assert "must be an object or an array" in error_of(response)
    with Server("--openwhisk", "--host", "127.0.0.1", str(hello)) as server:
        assert error_of(run_body(server, {"city": "Rome"})) == "'city'"
        assert run_body(server, {"value": 3}).status == 404


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (
            "hello.py",
            "def hello(event):\n    return {}\n",
            "hello.py has no function 'main'; it has",
        ),
        ("hello.py", "def main(:\n", "hello.py does not compile"),
        ("hello.py", "import no_such_module\n", "ModuleNotFoundError"),
        ("hello.py", "1 / 0\n", "ZeroDivisionError"),
        ("README.md", "# Read me\n\nfirst.\n", "README.md does not compile"),
    ],
)
def test_the_caller_is_told_why_file_could_not_be_loaded(
    tmp_path: Path, name: str, content: str, says: str
) -> None:
    (tmp_path / name).write_text(content)
    with Server(str(tmp_path / name)) as server:
        response = run_once(server.address, {})
        assert response.status == 502
        assert error_of(response).startswith("no action is current: ")
        assert says in error_of(response)
        assert f"hotwhisk replace --port {server.port} {tmp_path / name}" in server.stderr()
        # The error of FILE does not apply to the version that is posted next.
        server.post("def main(event): return {'n': 2}\n")
        assert run_once(server.address, {}).value("n") == 2
    with Server("--openwhisk", "--host", "127.0.0.1", str(tmp_path / name)) as server:
        assert error_of(run_once(server.address, {})) == "no action defined yet"


def test_without_an_action_the_hint_names_a_command_that_reaches_this_server() -> None:
    with Server() as server:
        assert error_of(run_once(server.address, {})) == "the action failed to locate a binary"
        assert f"no action yet: hotwhisk replace --port {server.port} FILE" in server.stderr()
        assert init_once(server.address, "def main(:\n").status == 502
        assert "does not compile" in error_of(run_once(server.address, {}))


def test_with_a_token_the_server_is_called_by_its_address_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    arguments = ("--token-file", str(tmp_path / "token"), "--allow-host", "box.lan")
    bearer = "Authorization: Bearer secret"
    with Server(*arguments) as server:
        server_says = server.stderr()
        assert "called from elsewhere by: any IP address of this machine, box.lan" in server_says
        for host in ("192.168.7.7:8080", "[fd00::7]:8080", "box.lan", "BOX.lan:1"):
            response = run_body(server, {"value": {}}, bearer, host=host)
            assert "locate a binary" in error_of(response)
        assert run_body(server, {}, host="192.168.7.7:8080").status == 401
        response = run_body(server, {}, bearer, host="other.lan:8080")
        assert response.status == 403
        assert "call it by its IP address" in error_of(response)
        assert "--allow-host other.lan" in error_of(response)


def test_a_target_in_absolute_form_is_taken_whatever_the_host_says(hello: Path) -> None:
    with Server(str(hello)) as server:
        for host in (f"127.0.0.1:{server.port}", "evil.example", "localhost:1"):
            with Connection(server.address) as connection:
                body = b'{"value":{"city":"Paris"}}'
                connection.send(
                    f"POST http://localhost:{server.port}/run HTTP/1.1\r\nHost: {host}\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n".encode()
                    + body
                )
                assert connection.read_response().body == b"{}\n"
        with Connection(server.address) as connection:
            connection.send(
                b"POST http://evil.example/init HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Length: 0\r\n\r\n"
            )
            assert connection.read_response().status == 403


def test_the_only_server_is_found_and_several_are_named(hello: Path, tmp_path: Path) -> None:
    with Server(str(hello)) as server:
        env = {"HOTWHISK_RUN_DIR": str(server.run_dir)}
        found = hotwhisk("status", cwd=tmp_path, env=env)
        assert f"port {server.port} · plain profile" in found.stdout
        done = hotwhisk("invoke", "-p", "city", "Paris", cwd=tmp_path, env=env)
        assert (done.returncode, done.stdout) == (0, "{}\n")
        done = hotwhisk("replace", "hello.py", cwd=tmp_path, env=env)
        assert done.stdout.startswith("replaced: generation 2 ")
        assert done.stdout.endswith(f" on {server.url}\n")
        assert hotwhisk("rollback", cwd=tmp_path, env=env).returncode == 0
        with Server(command=(*HOTWHISK, "--run-dir", str(server.run_dir))) as other:
            for command in (["status"], ["invoke"], ["rollback"], ["replace", "hello.py"]):
                done = hotwhisk(*command, cwd=tmp_path, env=env)
                assert done.returncode == 1
                assert f"on port {server.port}" in done.stderr
                assert f"on port {other.port}" in done.stderr
            assert hotwhisk("status", "--port", str(other.port), cwd=tmp_path, env=env).stdout


def test_a_version_that_is_refused_bears_its_own_number_and_the_users_file_name(
    hello: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.md").write_text("# Notes\n\nno Python at all\n")
    with Server(str(hello)) as server:
        env = {"HOTWHISK_RUN_DIR": str(server.run_dir)}
        done = hotwhisk("replace", "notes.md", cwd=tmp_path, env=env)
        assert done.returncode == 1
        assert "not replaced: notes.md does not compile" in done.stderr
        assert "main__.py" not in done.stderr
        assert "the current version goes on" in done.stderr
        assert "hotwhisk: a version was refused; generation 1 goes on: " in server.stderr()
        server.replace(3)
        assert hotwhisk("rollback", cwd=tmp_path, env=env).returncode == 0
        report = hotwhisk("status", cwd=tmp_path, env=env).stdout
        assert "generation 2" in next(line for line in report.splitlines() if "refused" in line)
        assert " · 1 rollback · " in report
    with Server() as server:
        env = {"HOTWHISK_RUN_DIR": str(server.run_dir)}
        done = hotwhisk("replace", "notes.md", cwd=tmp_path, env=env)
        assert "there is no current version" in done.stderr


def test_an_event_that_is_an_array_is_invoked(tmp_path: Path) -> None:
    (tmp_path / "events.json").write_text("[1, 2]", encoding="utf-8-sig")
    with Server() as server:
        server.post("def main(event):\n    return [event, sum(event)]\n")
        done = hotwhisk("invoke", "--port", str(server.port), "-P", "events.json", cwd=tmp_path)
        assert done.stdout == "[[1,2],3]\n"
