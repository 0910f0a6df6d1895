"""Signals, service managers, and the control socket: the operator's interface."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.client import Connection, run_once
from tests.support.rendezvous import Rendezvous
from tests.support.server import HOTWHISK, Server
from tests.support.waiting import wait_few
from tests.support.wire import init_request, run_request

from . import actions, control

pytestmark = pytest.mark.slow

BROKEN = "def main(event:\n"


def next_note(server: Server, timeout: float = 10.0) -> list[str]:
    """Return the lines of the next datagram that the server sends to its service manager."""
    server._notify.settimeout(timeout)
    return server._notify.recv(4096).decode().splitlines()


def note_of(server: Server, first: str) -> list[str]:
    """
    Return the next datagram that begins with this line; READY=1 may be sent more often than
    needed.
    """
    while (lines := next_note(server))[0] != first:
        assert lines[0] == "READY=1", lines
    return lines


@contextmanager
def serving_file(source: str) -> Iterator[tuple[Server, Path]]:
    with tempfile.TemporaryDirectory(prefix="action-") as folder:
        file = Path(folder) / "action.py"
        file.write_text(source)
        with Server(str(file)) as server:
            yield server, file


# -- stop -----------------------------------------------------------------------------------

STOPPED_AGAIN = """
import os, signal, sys
from hotwhisk.cli import serve
class Late:
    def __del__(self, kill=os.kill, pid=os.getpid(), numbers=%r):
        for number in numbers:
            kill(pid, number)
sys.late = Late()  # deleted after the signals are given back to the system
sys.exit(serve.run(["--port", "0", "--run-dir", sys.argv[1]], os.environ))
"""


def test_a_signal_to_stop_while_the_interpreter_exits_changes_no_exit_status(
    tmp_path: Path,
) -> None:
    numbers = [int(each) for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]
    program = STOPPED_AGAIN % numbers
    with Server(command=[sys.executable, "-c", program, str(tmp_path)]) as server:
        server.end_well()


TOLD_AT_ONCE = """
import os, signal, socket, sys
from hotwhisk.cli import serve
open_port = serve._listener

def open_and_be_told(found, environ):
    listener, inherited = open_port(found, environ)
    client.connect(listener.getsockname())
    client.sendall(b"POST /run HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
    os.kill(os.getpid(), getattr(signal, sys.argv[1]))
    return listener, inherited

client = socket.socket()
serve._listener = open_and_be_told
code = serve.run(["--port", "0", "--run-dir", sys.argv[2]], os.environ)
client.settimeout(10)
print(code, client.recv(12))
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_client_from_before_a_stop_could_be_received_is_answered(
    name: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TOLD_AT_ONCE, name, str(tmp_path / "run")],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.stdout.startswith("0 b'HTTP/1.1 "), (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_waits_for_what_runs(server: Server, number: signal.Signals) -> None:
    server.post(actions.plain(1))
    with Rendezvous() as meet, Connection(server.address) as runner:
        runner.send_run({"hold": meet.path})
        held = meet.wait_arrival()
        os.kill(server.pid, number)
        note_of(server, "STOPPING=1")
        assert server.process.poll() is None
        held.release()
        assert runner.read_response().value("version") == 1
        assert server.wait(10.0) == 0
    assert not wait_few(server.left, 0, 5.0)
    assert "stopping" in server.stderr()


def leave_at_once(server: Server, *signals: signal.Signals) -> None:
    """
    Stop with a handler running that is not released: the server ends, its caller gets
    an error.
    """
    server.post(actions.plain(1))
    with Rendezvous() as meet, Connection(server.address) as runner:
        runner.send_run({"hold": meet.path})
        held = meet.wait_arrival()
        os.kill(server.pid, signals[0])
        for number in signals[1:]:
            note_of(server, "STOPPING=1")
            os.kill(server.pid, number)
        status = server.wait(5.0)
        assert status == 0, status
        assert held.wait_gone(5.0)
        assert not wait_few(server.left, 0, 5.0)
        # docs/reference.md: "what is in flight gets an error"
        response = runner.read_response()
        assert response.status >= 500
        assert response.error


def test_quit_leaves_at_once() -> None:
    with Server() as server:
        leave_at_once(server, signal.SIGQUIT)


def test_second_interrupt_leaves_at_once() -> None:
    with Server() as server:
        leave_at_once(server, signal.SIGINT, signal.SIGINT)


def test_stop_ends_what_outlasts_the_drain_timeout() -> None:
    with Server("--drain-timeout", "1") as server:
        server.post(actions.plain(1))
        with Rendezvous() as meet, Connection(server.address) as runner:
            runner.send_run({"hold": meet.path})
            held = meet.wait_arrival()
            server.terminate()
            response = runner.read_response()
            assert response.status == 503
            assert response.error
            assert held.wait_gone(5.0)
            assert server.wait(10.0) == 0


@pytest.mark.parametrize("profile", [(), ("--openwhisk",)])
@pytest.mark.parametrize(
    ("options", "number"),
    [(("--drain-timeout", "0.2"), signal.SIGTERM), ((), signal.SIGQUIT)],
    ids=["drained", "quit"],
)
def test_stop_does_not_wait_for_what_never_loads(
    profile: tuple[str, ...], options: tuple[str, ...], number: signal.Signals
) -> None:
    with (
        Server(*profile, *options) as server,
        Rendezvous() as meet,
        Connection(server.address) as poster,
    ):
        poster.send(init_request(actions.held_at_import(1, meet.path)))
        meet.wait_arrival()
        os.kill(server.pid, number)
        answer = poster.read_response()
        assert (answer.status, answer.error) == (503, "the server is stopping")
        assert server.wait(10.0) == 0
        assert not wait_few(server.left, 0, 5.0)


def test_port_is_closed_by_a_stop(server: Server) -> None:
    server.terminate()
    assert server.wait(10.0) == 0
    with socket.socket() as end, pytest.raises(ConnectionRefusedError):
        end.connect(server.address)


def test_stop_after_many_connections() -> None:
    """Descriptors beyond 1023, which select(2) cannot hold."""
    with Server(nofile=8192) as server:
        server.post(actions.plain(1))
        opened = [Connection(server.address) for _ in range(1100)]
        for connection in opened:
            connection.run({})
        server.post(actions.plain(2))
        for connection in opened:
            connection.close()
        server.terminate()
        assert server.wait(10.0) == 0, server.stderr()
        assert "Traceback" not in server.stderr()


# -- reload ---------------------------------------------------------------------------------


def test_hangup_loads_the_file_again() -> None:
    with serving_file(actions.plain(1)) as (server, file):
        assert server.notes[0] == "READY=1"
        with Connection(server.address) as kept:
            assert kept.run({}).value("version") == 1
            file.write_text(actions.plain(2))
            os.kill(server.pid, signal.SIGHUP)
            begun, done = note_of(server, "RELOADING=1"), next_note(server)
            assert re.fullmatch(r"MONOTONIC_USEC=\d+", begun[1])
            assert done[0] == "READY=1"
            assert done[1].startswith("STATUS=")
            assert kept.run({}).value("version") == 2
        server.terminate()
        note_of(server, "STOPPING=1")
        assert server.wait(10.0) == 0


@pytest.mark.parametrize("content", [BROKEN, None], ids=["broken", "removed"])
def test_hangup_with_a_bad_file_keeps_the_version(content: str | None) -> None:
    with serving_file(actions.plain(1)) as (server, file), Connection(server.address) as kept:
        pid = kept.run({}).value("pid")
        file.unlink() if content is None else file.write_text(content)
        os.kill(server.pid, signal.SIGHUP)
        note_of(server, "RELOADING=1")
        # sd_notify(3): "READY=1 when the service finished reloading", also where it failed.
        assert next_note(server, 5.0)[0] == "READY=1"
        answer = kept.run({})
        assert answer.value("version") == 1
        assert answer.value("pid") == pid
        assert "action.py" in server.stderr()


def test_hangup_without_a_file_changes_nothing(server: Server) -> None:
    server.post(actions.plain(1))
    os.kill(server.pid, signal.SIGHUP)
    assert run_once(server.address, {}).value("version") == 1
    control.status(server)
    assert "without one" in server.stderr()


def test_workers_have_the_usual_signals(server: Server) -> None:
    server.post(
        "import signal\ndef main(event):\n"
        "    return {n: str(signal.getsignal(getattr(signal, n))) for n in event['names']}\n"
    )
    names = ["SIGTERM", "SIGHUP", "SIGCHLD", "SIGQUIT"]
    answer = run_once(server.address, {"names": names}).json()
    assert answer == {name: str(signal.SIG_DFL) for name in names}


def test_action_sees_nothing_of_the_service_manager(server: Server) -> None:
    server.post("import os\ndef main(event): return {'names': sorted(os.environ)}\n")
    names = run_once(server.address, {}).value("names")
    assert not [name for name in names if name.startswith(("LISTEN_", "NOTIFY_", "WATCHDOG_"))]


# -- start ----------------------------------------------------------------------------------


@contextmanager
def started(
    arguments: Sequence[str], pass_fds: Sequence[int] = ()
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*HOTWHISK, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=pass_fds,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=10)


def failure(*arguments: str) -> tuple[int, str]:
    """Return exit code and text of a server that cannot start."""
    finished = subprocess.run(
        [*HOTWHISK, *arguments], capture_output=True, text=True, timeout=10, check=False
    )
    assert "Traceback" not in finished.stderr
    return finished.returncode, finished.stderr


def test_ready_descriptor_gets_one_newline_and_its_end(tmp_path: Path) -> None:
    read, write = os.pipe()
    arguments = ["--port", "0", "--run-dir", str(tmp_path / "run"), "--ready-fd", str(write)]
    try:
        with started(arguments, [write]) as process:
            os.close(write)
            received = b""
            while select.select([read], [], [], 10.0)[0]:
                if not (data := os.read(read, 16)):
                    break
                received += data
            else:
                pytest.fail(f"no end of file after {received!r}")
            assert received == b"\n"
            assert process.stderr is not None
            address = re.search(r"http://127\.0\.0\.1:(\d+)", process.stderr.readline())
            assert address
            response = run_once(("127.0.0.1", int(address[1])), {})
            assert "locate a binary" in str(response.error)
            process.terminate()
            assert process.wait(10) == 0
    finally:
        os.close(read)


def test_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, text = failure("--port", str(port), "--run-dir", str(tmp_path / "run"))
    assert code == 1
    assert f"port {port} is taken" in text
    assert "--port 0" in text


def make_file(place: Path) -> None:
    place.write_text("")


def make_shared(place: Path) -> None:
    place.mkdir()
    place.chmod(0o777)


@pytest.mark.parametrize("make", [make_file, make_shared])
def test_run_folder_that_cannot_be_used(tmp_path: Path, make: Callable[[Path], None]) -> None:
    place = tmp_path / "run"
    make(place)
    code, text = failure("--port", "0", "--run-dir", str(place))
    assert code == 1
    assert str(place) in text
    assert "--run-dir" in text


def test_run_folder_that_cannot_be_made() -> None:
    code, text = failure("--port", "0", "--run-dir", "/proc/here")
    assert code == 1
    assert "cannot use /proc/here" in text
    assert "writable" in text


def test_listen_fds_of_another_process_are_left_alone(tmp_path: Path) -> None:
    env = {**os.environ, "LISTEN_FDS": "1", "LISTEN_PID": "1"}
    process = subprocess.Popen(
        [*HOTWHISK, "--port", "0", "--run-dir", str(tmp_path / "run")],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )
    try:
        assert process.stderr is not None
        assert "serving on http://127.0.0.1:" in process.stderr.readline()
    finally:
        process.terminate()
        assert process.wait(10) == 0
        process.communicate()


# -- the control socket ---------------------------------------------------------------------


def test_only_the_owner_reaches_the_control_socket(server: Server) -> None:
    assert control.mode(control.path(server)) == 0o600
    assert control.mode(server.run_dir) == 0o700
    assert control.mode(server.run_dir / str(server.port)) == 0o700
    server.terminate()
    assert server.wait(10.0) == 0
    assert not list(server.run_dir.iterdir())


def test_status_tells_what_happened(server: Server) -> None:
    server.post(actions.plain(1))
    with Rendezvous() as meet, Connection(server.address) as runner:
        runner.send_run({"hold": meet.path})
        os.kill(meet.wait_arrival().pid, signal.SIGKILL)
        assert runner.read_response().status == 502
    finished = control.command(server, "status", "--json")
    assert finished.returncode == 0, finished.stderr
    found = json.loads(finished.stdout)
    assert found["pid"] == server.pid
    assert found["port"] == server.port
    assert found["generation"]["number"] == 1
    assert found["answered_for_the_dead"] == 1
    assert found["deaths"][-1]["how"] == "signal 9 (SIGKILL)"
    assert found["inits"][-1]["ok"] is True
    people = control.command(server, "status")
    assert "signal 9" in people.stdout
    assert "current" in people.stdout


def test_rollback_and_its_limits(server: Server) -> None:
    refused = control.command(server, "rollback")
    assert refused.returncode == 1
    assert "nothing to roll back to: no version is current" in refused.stderr
    server.post(actions.plain(1))
    assert "generation 1 is the first version" in control.command(server, "rollback").stderr
    server.post(actions.plain(2))
    with Connection(server.address) as kept:
        assert kept.run({}).value("version") == 2
        done = control.command(server, "rollback")
        assert done.returncode == 0, done.stderr
        answer = kept.run({})
        assert answer.value("version") == 1
        assert f"generation {answer.generation}" in done.stdout
    found = control.status(server)
    assert found["rollbacks"] == 1
    assert found["replacements"] == 1
    assert found["generation"]["number"] == answer.generation == 3
    assert found["previous"] is None
    refused = control.command(server, "rollback")
    assert refused.returncode == 1
    assert "generation 3 is a roll-back itself; none before it is kept; kept: 2" in refused.stderr


def begin_rollback(server: Server) -> socket.socket:
    end = socket.socket(socket.AF_UNIX)
    end.settimeout(10.0)
    end.connect(str(control.path(server)))
    end.sendall(b'{"version": 1, "ask": "rollback"}\n')
    return end


def expect_recovery(server: Server, version: int) -> None:
    """Expect that the current artifact can still be loaded by a new worker."""
    with Connection(server.address) as kept:
        pid = kept.run({}).value("pid")
        os.kill(pid, signal.SIGKILL)
        answer = kept.run({})
        assert (answer.status, answer.value("version")) == (200, version)
        assert answer.value("pid") != pid
    assert server.process.poll() is None, server.stderr()


def test_two_rollbacks_at_once(server: Server) -> None:
    for version in (1, 2):
        server.post(actions.plain(version))
    ends = [begin_rollback(server) for _ in range(2)]
    for end in ends:
        with end:
            assert json.loads(end.recv(65536))
    expect_recovery(server, 1)


def test_rollback_while_another_version_loads(server: Server) -> None:
    for version in (1, 2):
        server.post(actions.plain(version))
    with Rendezvous() as meet, Connection(server.address) as poster:
        poster.send(init_request(actions.held_at_import(3, meet.path)))
        held = meet.wait_arrival()
        with begin_rollback(server) as end:
            control.status(server)
            held.release()
            assert poster.read_response().status == 200
            told = json.loads(end.recv(65536))
            assert told["ok"] or told["error"]
    answer = run_once(server.address, {})
    assert answer.status == 200, answer
    expect_recovery(server, int(answer.value("version")))


@pytest.mark.parametrize(
    "line", [b"\n", b"[]\n", b'{"ask": "dance"}\n', b"\xff\xfe\n", b"", b'"status"\n', b"[" * 4000]
)
def test_control_socket_survives_nonsense(server: Server, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.settimeout(10.0)
        end.connect(str(control.path(server)))
        end.sendall(line)
        end.shutdown(socket.SHUT_WR)
        assert b"ask one of" in end.recv(65536)
    assert control.status(server)["pid"] == server.pid


def test_a_silent_control_client_delays_no_other(server: Server) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(control.path(server)))
        server.post(actions.plain(1))
        assert control.status(server)["generation"]["number"] == 1
    assert control.status(server)["generation"]["number"] == 1


def test_a_second_server_leaves_the_first_ones_folder_alone(server: Server) -> None:
    server.post(actions.plain(1))
    code, text = failure("--port", str(server.port), "--run-dir", str(server.run_dir))
    assert code == 1, text
    assert control.status(server)["pid"] == server.pid
    assert (server.run_dir / str(server.port)).is_dir()


def test_half_request_at_a_stop_does_not_hold_it_up() -> None:
    with Server("--drain-timeout", "1") as server:
        server.post(actions.plain(1))
        with Connection(server.address) as half, Connection(server.address) as silent:
            half.send(run_request({})[:40])
            silent.run({})
            server.terminate()
            assert server.wait(10.0) == 0
            assert half.read_to_end().count(b"HTTP/1.1 ") <= 1


def test_banner_says_what_to_do_next(server: Server) -> None:
    assert f"serving on {server.url}" in server.stderr()
    assert f"hotwhisk replace --port {server.port} FILE" in server.stderr()
