"""
Bad input to the platform's own proxy, one test a row, and what hotwhisk does with it.

docs/comparison.md has the rows as a table. Each holds for a Python action and for a program behind
the bridge, under the platform's profile: the same code is posted as either.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import Connection, init_once, run_once
from tests.support.rendezvous import Rendezvous
from tests.support.server import Server
from tests.support.waiting import wait_few, wait_gone
from tests.support.wire import Response, init_body, post, run_body

from . import programs

pytestmark = pytest.mark.slow

KINDS = ("python", "program")
BODY = """
import os, socket

def main(event):
    if "hold" in event:
        with socket.socket(socket.AF_UNIX) as end:
            end.connect(event["hold"])
            end.sendall(str(os.getpid()).encode())
            end.recv(1)
    do = event.get("do")
    while do == "loop":
        pass
    if do == "leave":
        raise SystemExit(3)
    if do == "what is no JSON":
        return NO_JSON
    if do == "NaN":
        return {"x": float("nan")}
    if do == "variable":
        return {"found": os.environ.get(event["name"])}
    return {"version": VERSION, "pid": os.getpid(), "event": event}
"""


def action(kind: str, version: int = 1) -> str | bytes:
    """Return the action as a Python source, or in a program."""
    source = f"VERSION = {version}\n{BODY}"
    if kind == "python":
        return source + "\nNO_JSON = {'x': {1, 2}}\n"
    serve = "serve(lambda request: main(request.get('value') or {}))\n"
    return programs.python(f"{source}\nNO_JSON = b'{{1, 2}}\\n'\n{serve}")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(kind: str) -> Iterator[Server]:
    """
    Start a server that has the action, and takes a second ``/init`` as the proxy with
    ``-debug``.
    """
    with Server("--openwhisk", env={"OW_DEBUG": "1", "__OW_API_HOST": "a=b=c"}) as started:
        started.post(action(kind))
        yield started


def raw(server: Server, request: bytes) -> Response:
    with Connection(server.address) as connection:
        connection.send(request)
        return connection.read_response()


def expect_unharmed(server: Server, pid: int) -> None:
    """Expect that the same process goes on, again and again."""
    assert [server.call()["pid"] for _ in range(3)] == [pid] * 3


def expect_served(server: Server) -> None:
    """Expect that requests are answered now and later: the proxy hung at the second call."""
    for number in range(3):
        assert server.call({"n": number})["event"] == {"n": number}


# -- the table ------------------------------------------------------------------------------


def test_a_path_that_does_not_exist_is_no_success(server: Server) -> None:
    response = raw(server, b"GET /nope HTTP/1.1\r\nHost: x\r\n\r\n")
    assert response.status == 404
    assert response.error
    expect_served(server)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /run HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (post("/run", b"not json"), 400),
        (post("/run", b'{"value":'), 400),
    ],
    ids=["GET", "not json", "half of it"],
)
def test_a_body_that_is_no_request_does_not_end_the_action(
    server: Server, request_: bytes, status: int
) -> None:
    pid = server.call()["pid"]
    response = raw(server, request_)
    assert response.status == status
    assert response.error
    expect_unharmed(server, pid)


def test_an_action_that_leaves_is_there_again_for_the_next_request(server: Server) -> None:
    for _ in range(2):
        response = run_once(server.address, {"do": "leave"})
        assert (response.status, response.error) == (400, "command exited")
        expect_served(server)


def test_a_result_that_is_no_json_does_not_end_the_action(server: Server) -> None:
    for _ in range(2):
        response = run_once(server.address, {"do": "what is no JSON"})
        assert response.status == 502
        assert response.error == "The action did not return a dictionary or array."
        expect_served(server)


def test_a_deadline_that_is_a_number_is_served(server: Server, kind: str) -> None:
    pid = server.call()["pid"]
    response = raw(server, post("/run", run_body({"n": 1}, deadline=123, activation_id=7)))
    assert response.status == 200
    assert response.value("event") == {"n": 1}
    if kind == "python":
        assert server.call({"do": "variable", "name": "__OW_DEADLINE"}) == {"found": "123"}
    expect_unharmed(server, pid)


def test_nan_in_a_result_is_refused_and_the_action_goes_on(server: Server) -> None:
    pid = server.call()["pid"]
    response = run_once(server.address, {"do": "NaN"})
    assert response.status == 502
    assert response.error == "The action did not return a dictionary or array."
    expect_unharmed(server, pid)


def test_a_death_between_calls_is_noticed_and_nothing_hangs(server: Server) -> None:
    for _ in range(2):
        pid = server.call()["pid"]
        os.kill(pid, signal.SIGKILL)
        assert wait_gone(pid, 10.0)  # until then it could still take a request and lose it
        assert server.call()["pid"] != pid
        expect_served(server)


@pytest.mark.parametrize("arguments", [(), ("--workers", "2"), ("--openwhisk",)])
def test_twenty_at_once_get_their_own_answers(kind: str, arguments: tuple[str, ...]) -> None:
    wrong: list[object] = []

    def call(caller: int) -> None:
        for turn in range(20):
            event = {"caller": caller, "turn": turn}
            try:
                answer = server.call(event)
                if answer["event"] != event:
                    wrong.append(answer)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
                wrong.append(error)

    with Server(*arguments) as server:
        server.post(action(kind))
        threads = [threading.Thread(target=call, args=(caller,)) for caller in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_a_second_init_leaves_the_request_in_flight_alone(server: Server, kind: str) -> None:
    with Rendezvous() as meet, Connection(server.address) as runner:
        runner.send_run({"hold": meet.path})
        held = meet.wait_arrival()
        server.post(action(kind, 2))
        assert server.call()["version"] == 2
        held.release()
        answer = runner.read_response()
        assert (answer.value("version"), answer.value("pid")) == (1, held.pid)


def test_equals_signs_in_a_variable_survive(server: Server, kind: str) -> None:
    assert server.call({"do": "variable", "name": "__OW_API_HOST"}) == {"found": "a=b=c"}
    code = action(kind)
    body = init_body(code, binary=isinstance(code, bytes), env={"OWN": "1=2=3"})
    assert raw(server, post("/init", body)).status == 200
    assert server.call({"do": "variable", "name": "OWN"}) == {"found": "1=2=3"}


COMPILER = """\
#!/bin/sh
echo "warning: this could be nicer"
cp "$2/exec" "$3/exec"
sed -i '1i #!/bin/bash' "$3/exec"
"""


def test_a_warning_of_the_compiler_is_no_failure(kind: str, tmp_path: Path) -> None:
    """Python's own compiler warns of the escape, and so does one that an image brings."""
    compiler = tmp_path / "compile"
    compiler.write_text(COMPILER)
    compiler.chmod(0o755)
    env = {} if kind == "python" else {"OW_COMPILER": str(compiler)}
    code = {
        "python": "PATTERN = '\\d'\ndef main(event): return {'warned': PATTERN}\n",
        "program": 'while read -r line; do echo \'{"warned": "\\\\d"}\' >&3; done\n',
    }[kind]
    with Server("--openwhisk", env=env) as server:
        assert init_once(server.address, code).status == 200
        assert server.call() == {"warned": "\\d"}


def test_a_megabyte_comes_back_to_the_byte(server: Server) -> None:
    """`./run bench` measures how fast it is."""
    text = "x" * ((1 << 20) - 10) + 'é\\"\n☃'
    assert server.call({"text": text})["event"] == {"text": text}


# -- and besides ----------------------------------------------------------------------------


def test_head_and_body_of_an_answer_are_one_write(server: Server) -> None:
    """Two of them cost 44 ms each time on a kept connection, waiting for an acknowledgement."""
    with Connection(server.address) as connection:
        for number in range(20):
            connection.send_run({"n": number})
            piece = connection.socket.recv(1 << 16)
            head, _, body = piece.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert json.loads(body)["event"] == {"n": number}


def test_a_late_answer_is_never_read_as_the_next_one(server: Server) -> None:
    """The proxy gave a later caller the answer of a caller that had given up, or none: 10 of 10."""
    with Rendezvous() as meet:
        for turn in range(10):
            with Connection(server.address) as quitter:
                quitter.send_run({"hold": meet.path, "turn": turn})
                held = meet.wait_arrival()
            with Connection(server.address) as patient:
                patient.send_run({"turn": -turn})
                held.release()
                assert patient.read_response().value("event") == {"turn": -turn}


def test_a_stop_lets_the_running_request_end(server: Server) -> None:
    with Rendezvous() as meet, Connection(server.address) as runner:
        runner.send_run({"hold": meet.path})
        held = meet.wait_arrival()
        server.terminate()
        held.release()
        assert runner.read_response().value("pid") == held.pid
        assert server.wait(10.0) == 0
        assert not wait_few(server.left, 0, 10.0)


def test_a_stop_leaves_no_looping_child_alive(kind: str) -> None:
    with (
        Server("--openwhisk", "--drain-timeout", "500ms") as server,
        Rendezvous() as meet,
        Connection(server.address) as runner,
    ):
        server.post(action(kind))
        runner.send_run({"hold": meet.path, "do": "loop"})
        held = meet.wait_arrival()
        held.release()
        server.terminate()
        response = runner.read_response()
        assert response.status >= 400
        assert response.error
        assert server.wait(10.0) == 0
        assert held.wait_gone(10.0)
        assert not wait_few(server.left, 0, 10.0)
