"""A refusal says what is wrong, to the person who can mend it."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from tests.support.client import Connection, init_once, run_once
from tests.support.server import HOTWHISK, Server
from tests.support.waiting import wait_exit

from . import actions, control

pytestmark = pytest.mark.slow

ODD_RESULTS = """\
RESULTS = {"none": None, "text": "hello", "nan": {"a": float("nan")}, "set": {"a": {1}}}
def main(event):
    return RESULTS[event["want"]]
"""


def test_another_method_is_told_which_one_serves(server: Server) -> None:
    with Connection(server.address) as connection:
        connection.send(b"GET /run HTTP/1.1\r\nHost: localhost\r\n\r\n")
        response = connection.read_response()
        assert (response.status, response.headers.get("allow")) == (405, "POST")
        assert run_once(server.address, {}).headers.get("allow") is None


def test_an_answer_to_a_head_is_a_head(server: Server) -> None:
    with Connection(server.address) as connection:
        for path, line in (("/run", b"405 Method"), ("/elsewhere", b"404 Not")):
            connection.send(f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            head = connection.receive(time.monotonic() + 10)
            assert head.startswith(b"HTTP/1.1 " + line)
            assert head.endswith(b"\r\n\r\n")
            assert b"\r\nContent-Length: " in head
        assert connection.run({}).body  # no bytes came in between


def test_who_has_no_token_is_told_the_scheme(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    with Server("--token-file", str(tmp_path / "token")) as server:
        response = run_once(server.address, {})
        assert (response.status, response.headers.get("www-authenticate")) == (401, "Bearer")


@pytest.mark.parametrize(
    ("want", "plain"),
    [
        ("none", "the handler returned None; expected a dict or a list, such as {'result': …}"),
        ("text", "the handler returned str 'hello'; expected a dict or a list"),
        ("nan", "a number that JSON does not have (NaN or an infinity)"),
        ("set", "a value inside its result that JSON does not have"),
    ],
)
def test_a_result_that_is_none_is_told_in_the_words_of_the_profile(want: str, plain: str) -> None:
    for arguments, told in (
        ((), plain),
        (("--openwhisk",), "did not return a dictionary or array"),
    ):
        with Server(*arguments) as server:
            server.post(ODD_RESULTS)
            response = run_once(server.address, {"want": want})
            assert response.status == 502
            assert told in str(response.error)


# -- the run folder ----------------------------------------------------------------------------


def big_folder() -> bytes:
    """Return an archive of a few hundred bytes that unpacks to 8 MB."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        for name, content in {
            "__main__.py": actions.plain(2).encode(),
            "data": bytes(8 << 20),
        }.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return written.getvalue()


OWN_MOUNTS = ("unshare", "--mount", *(() if os.getuid() == 0 else ("--user", "--map-root-user")))
ON_TMPFS = 'mount -t tmpfs -o size=1m,mode=700 tmpfs "$1" && shift && exec "$@"'


class OnTmpfs(Server):
    """
    A server whose run folder is a file system of its own, of one megabyte, which only
    it sees.
    """

    def __init__(self) -> None:
        tried = subprocess.run([*OWN_MOUNTS, "true"], capture_output=True, text=True, check=False)
        if tried.returncode:
            pytest.fail(f"a mount namespace (unshare, util-linux) is needed: {tried.stderr}")
        super().__init__(command=HOTWHISK)
        mounting = (*OWN_MOUNTS, "sh", "-c", ON_TMPFS, "sh", str(self.run_dir))
        self.command = [*mounting, *self.command]

    def remount(self, options: str) -> None:
        """Change the file system under the running server."""
        enter = ("nsenter", "--target", str(self.pid), "--mount", "--wd=/")
        enter += () if os.getuid() == 0 else ("--user", "--preserve-credentials")
        subprocess.run([*enter, "mount", "-o", f"remount,{options}", str(self.run_dir)], check=True)


def test_a_full_or_read_only_run_folder_is_told_as_that() -> None:
    with OnTmpfs() as server:
        server.post(actions.plain(1))
        response = init_once(server.address, big_folder())
        assert response.status == 502
        assert f"cannot be unpacked into {server.run_dir}" in str(response.error)
        assert "No space left on device; make room there" in str(response.error)
        server.remount("ro")
        for code in (big_folder(), actions.plain(3)):
            text = str(init_once(server.address, code).error)
            assert "Read-only file system" in text, text
            assert "choose a writable folder with --run-dir" in text
        server.remount("rw")
        assert run_once(server.address, {}).value("version") == 1
        server.post(actions.plain(4))


# -- the start ---------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [(), ("--openwhisk",)])
@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", "<&-", ">&-", "2>&-"])
def test_closed_streams_are_no_trouble(closed: str, profile: tuple[str, ...]) -> None:
    printing = "import sys\n" + actions.plain(1).replace(
        "def main(event):", "def main(event):\n    print('out'); print('err', file=sys.stderr)"
    )
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", *HOTWHISK]
    with Server(*profile, command=command, env={"HOTWHISK_PORT": "0"}) as server:
        server.post(printing)
        assert run_once(server.address, {}).value("version") == 1
        server.terminate()
        assert server.wait(10.0) == 0, server.stderr()
        assert "Traceback" not in server.stderr()


def test_two_servers_with_one_port_on_two_addresses() -> None:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        port = first.getsockname()[1]
        second.bind(("127.0.0.2", port))
        with Server() as server:
            inherited(server, first, second, port)


def inherited(server: Server, first: socket.socket, second: socket.socket, port: int) -> None:
    """Run two servers in one run folder, each on one of the sockets; the command asks both."""
    running = []
    shim = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid()); "
        "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
    )
    arguments = ["-m", "hotwhisk", "serve", "--run-dir", str(server.run_dir)]
    environ = {**os.environ, "LISTEN_FDS": "1"}
    environ.pop("NOTIFY_SOCKET", None)
    for listener in (first, second):
        listener.listen()
        end, ready = os.pipe()
        running.append(
            subprocess.Popen(
                [sys.executable, "-c", shim, str(listener.fileno()), *arguments,
                 "--ready-fd", str(ready)],
                pass_fds=(listener.fileno(), ready),
                env=environ,
            )
        )  # fmt: skip
        os.close(ready)
        assert os.read(end, 1) == b"\n"
        os.close(end)
    try:
        for process, host in zip(running, ("127.0.0.1", "127.0.0.2"), strict=True):
            where = ["--port", str(port), "--run-dir", str(server.run_dir), "--host", host]
            done = subprocess.run(
                [sys.executable, "-m", "hotwhisk", "status", "--json", *where],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            assert json.loads(done.stdout)["pid"] == process.pid
            address = (host, port)
            assert init_once(address, actions.plain(process.pid)).status == 200
            assert run_once(address, {}).value("version") == process.pid
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
            pidfd = os.pidfd_open(process.pid)
            assert wait_exit(pidfd, 10.0)
            os.close(pidfd)
            assert process.wait() == 0
    assert control.status(server)["port"] == server.port
    assert len(list(server.run_dir.glob("*.sock"))) == 1


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text("\n")
    with Server(str(tmp_path / "hello.py")) as server:
        assert "hello.py is empty; expected code with a handler: def main(event)" in server.stderr()


STARTS = """\
from hotwhisk import start
def hello(event): return {"by": "start"}
def other(event): return {"by": "name"}
if __name__ == "__main__":
    start(hello)
"""


def test_a_name_that_start_would_overrule_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(STARTS)
    with Server(str(tmp_path / "hello.py"), "--main", "nope") as server:
        assert (
            "`main` is 'nope', but hello.py names its handler itself, by start()" in server.stderr()
        )
    with Server(str(tmp_path / "hello.py"), "--main", "other") as server:
        assert run_once(server.address, {}).json() == {"by": "name"}
    with Server(str(tmp_path / "hello.py")) as server:
        assert run_once(server.address, {}).json() == {"by": "start"}
