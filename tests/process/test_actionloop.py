"""
Programs of any language behind the bridge.

Whatever one of them does, a request gets its own answer or an error, and the next one is served.
Bad input to the official proxy is in test_field.
"""

from __future__ import annotations

import base64
import json
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import Connection, init_once, run_once
from tests.support.rendezvous import Rendezvous
from tests.support.server import Server
from tests.support.waiting import stop, wait_few, wait_gone
from tests.support.wire import Response, init_body, post

from . import programs
from .programs import python

pytestmark = pytest.mark.slow

SENTINEL = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"

FLEXIBLE = """
def main(request):
    value = request.get("value") or {}
    if "hold" in value:
        import socket
        end = socket.socket(socket.AF_UNIX)
        end.connect(value["hold"])
        end.sendall(str(os.getpid()).encode())
        end.recv(1)
    if "exit" in value:
        os._exit(value["exit"])
    if "say" in value:
        return value["say"].encode()
    if "print" in value:
        os.write(value.get("stream", 1), value["print"].encode() * value.get("times", 1))
    if "env" in value:
        return {"env": os.environ.get(value["env"])}
    return {"pid": os.getpid(), "got": request}
serve(main)
"""


STARTS = """
import subprocess
def start(new):
    return subprocess.Popen(["sleep", "1000"], start_new_session=new, env={}, pass_fds=(3,)).pid
def main(request):
    if "exit" in request["value"]:
        os._exit(1)
    return [os.getpid()] if "pid" in request["value"] else [start(True), start(False)]
serve(main)
"""

LATE = """
import select, signal
def main(request):
    if request["value"]["n"] == 1:
        os.write(3, json.dumps(request).encode() + b"\\n")
        select.select([0], [], [])
        os.write(3, b'{"late": 1}\\n')
        signal.pause()
    return request
serve(main)
"""


@pytest.fixture(scope="module")
def plain() -> Iterator[Server]:
    """Start one server for tests that leave it as good as new; each posts a program of its own."""
    with Server() as started:
        yield started
        started.terminate()
        assert started.wait(10.0) == 0, started.stderr()
        assert not started.left()


@pytest.fixture
def whisk() -> Iterator[Server]:
    with Server("--openwhisk", env={"PROXY_ALLOW_REINIT": "1"}) as started:
        yield started


def raw(server: Server, path: str, body: bytes) -> Response:
    with Connection(server.address) as connection:
        connection.send(post(path, body))
        return connection.read_response()


def pid_of(server: Server) -> int:
    return int(server.call()["pid"])


def wait_unread(pid: int) -> None:
    """Wait until there is something for a stopped process to read."""
    with open(f"/proc/{pid}/fd/0", "rb") as requests:
        assert select.select([requests], [], [], 10.0)[0]


# -- languages ------------------------------------------------------------------------------


@pytest.mark.parametrize("acknowledge", ["", "1"])
@pytest.mark.parametrize("language", ["bash", "perl", "node", "go", "python3"])
def test_programs_of_every_language(tmp_path: Path, language: str, acknowledge: str) -> None:
    programs.needs(language)
    code: str | bytes = programs.BASH
    if language == "go":
        code = programs.go_binary(tmp_path)
    elif language == "python3":
        code = python('serve(lambda r: {"pid": os.getpid(), "name": r["value"]["name"]})')
    elif language != "bash":
        code = programs.PERL if language == "perl" else programs.NODE
    with Server("--openwhisk", env={"OW_WAIT_FOR_ACK": acknowledge}) as server:
        response = init_once(server.address, code)
        assert (response.status, response.body) == (200, b'{"ok":true}\n')
        answers = [server.call({"name": name}) for name in ("Ada", "Bob", "Cy")]
        assert [answer["name"] for answer in answers] == ["Ada", "Bob", "Cy"]
        assert len({answer["pid"] for answer in answers}) == 1
        assert server.stderr() == f"{SENTINEL}\n" * 3


def test_a_go_binary_in_an_archive(plain: Server, tmp_path: Path) -> None:
    plain.post(programs.zipped({"exec": programs.go_binary(tmp_path)}))
    assert plain.call({"name": "Ada"})["name"] == "Ada"


def test_a_folder_with_a_program_is_served_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "exec").write_text(programs.PYTHON)
    (tmp_path / "exec").chmod(0o755)
    (tmp_path / "loop.py").write_text(programs.LOOP + "serve(lambda r: [os.getcwd()])")
    with Server(str(tmp_path)) as server:
        assert server.call() == [str(tmp_path)]


def test_the_request_goes_in_and_the_answer_comes_out_to_the_byte(plain: Server) -> None:
    echo = "for line in sys.stdin.buffer:\n    while line: line = line[os.write(3, line):]\n"
    plain.post(python(echo))
    body = b' {"value" : {"a":1.0,"a":2},\r\n "b":[ ]}\n'
    assert raw(plain, "/run", body).body == b'{"value" : {"a":1.0,"a":2}, "b":[ ]}\n'
    assert raw(plain, "/run", b"").body == b"{}\n"
    text = '{"value":{"\u00e9":"\\u2028"}}'
    assert raw(plain, "/run", text.encode("utf-16")).body == f"{text}\n".encode()


# -- what the incumbent gets wrong ----------------------------------------------------------


@pytest.mark.parametrize("body", [b"not json", b"null", b"[]", b'{"value":"text"}', b'{"a":'])
def test_a_body_that_is_no_request_never_reaches_the_program(plain: Server, body: bytes) -> None:
    plain.post(python(FLEXIBLE))
    pid = pid_of(plain)
    assert raw(plain, "/run", body).status in (400, 404)
    with Connection(plain.address) as connection:
        connection.send(b"GET /run HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.read_response().status == 405
    assert pid_of(plain) == pid


def test_a_program_that_exits_costs_its_own_request_only(whisk: Server) -> None:
    whisk.post(python(FLEXIBLE))
    for status in (0, 3):
        response = run_once(whisk.address, {"exit": status})
        assert (response.status, response.body) == (400, b'{"error":"command exited"}\n')
        assert "pid" in whisk.call()
    assert whisk.stdout() == whisk.stderr() == f"{SENTINEL}\n" * 4


def test_a_program_that_is_killed_is_told_by_its_signal(plain: Server) -> None:
    plain.post(python("import os, signal\ndef main(r): os.kill(os.getpid(), 9)\nserve(main)"))
    response = run_once(plain.address, {})
    assert response.status == 502
    assert b"ended with signal 9 (SIGKILL) during this request" in response.body


@pytest.mark.parametrize(
    ("acknowledge", "statement", "told"),
    [
        ("", "os.close(0)", "it closed its standard input before it read a request"),
        ("", "os.close(3)", "it closed descriptor 3, where it answers"),
        ("1", "os.close(3)", "it closed descriptor 3, where it answers"),
        ("", "os._exit(3)", "exit status 3"),
        ("", "os.kill(os.getpid(), 9)", "signal 9 (SIGKILL)"),
        ("1", "os.kill(os.getpid(), 9)", "signal 9 (SIGKILL)"),
    ],
)
def test_a_program_that_does_not_start_is_told_by_what_it_did_and_not_by_our_signal(
    acknowledge: str, statement: str, told: str
) -> None:
    with Server(env={"OW_WAIT_FOR_ACK": acknowledge}) as server:
        response = init_once(server.address, python(f"import signal\n{statement}\nsignal.pause()"))
        assert response.status == 502
        assert f"({told})" in str(response.error), response.error


def test_a_program_that_cannot_answer_any_more_is_told_why_it_was_ended(plain: Server) -> None:
    plain.post(python("import os, time\ndef main(r): os.close(3); time.sleep(60)\nserve(main)"))
    response = run_once(plain.address, {})
    assert response.status == 502
    assert "was ended, since it closed descriptor 3, where it answers" in str(response.error)


@pytest.mark.parametrize(
    ("said", "survives"),
    [
        ('{"x": NaN}\n', True), ('{"x": [-Infinity]}\n', True), ("null\n", True), ("3\n", True),
        ('"NaN"\n', True), ("Traceback\n", False), ("\n", False), ('{"a":1\n', False), ("\0{}\n", False),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_result_is_refused(plain: Server, said: str, survives: bool) -> None:
    plain.post(python(FLEXIBLE))
    pid = pid_of(plain)
    response = run_once(plain.address, {"say": said})
    told = f"the program answered {said.strip()!r}; expected a JSON object or array"
    assert (response.status, response.error) == (502, told)
    assert (pid_of(plain) == pid) is survives


def test_text_that_looks_like_nan_is_a_result(plain: Server) -> None:
    plain.post(python(FLEXIBLE))
    assert plain.call({"say": '{"x": "NaN and Infinity"}\n'}) == {"x": "NaN and Infinity"}


def test_a_death_between_runs_leaves_nothing_behind(plain: Server) -> None:
    """Without another request: neither a zombie nor what the program started."""
    plain.post(python(STARTS))
    left, pid = plain.call(), plain.call({"pid": True})
    os.kill(pid[0], signal.SIGKILL)
    assert all(wait_gone(each, 10.0) for each in left)
    assert not wait_few(lambda: {pid[0]} & plain.left(), 0, 10.0)


def test_a_request_that_the_dead_never_read_goes_to_a_fresh_program(whisk: Server) -> None:
    whisk.post(python(FLEXIBLE))
    pid = pid_of(whisk)
    stop(pid)
    with Connection(whisk.address) as runner:
        runner.send_run({"n": 1})
        wait_unread(pid)
        os.kill(pid, signal.SIGKILL)
        assert runner.read_response().value("got") == {"value": {"n": 1}}
    assert whisk.stdout() == f"{SENTINEL}\n" * 2


def test_a_program_that_cannot_be_started_again_is_an_error_and_no_hang(plain: Server) -> None:
    plain.post(python("if os.path.exists('once'): os._exit(5)\nopen('once', 'w')\n" + FLEXIBLE))
    assert "exit" not in plain.call()
    assert run_once(plain.address, {"exit": 0}).status == 502
    for _ in range(2):
        response = run_once(plain.address, {})
        assert response.status == 502
        assert b"cannot start action: command exited (exit status 5)" in response.body


def test_parallel_calls_go_to_other_workers() -> None:
    with Server("--workers", "2") as server, Rendezvous() as meet:
        server.post(python(FLEXIBLE))
        with Connection(server.address) as first, Connection(server.address) as second:
            first.send_run({"hold": meet.path})
            second.send_run({"hold": meet.path})
            held = [meet.wait_arrival(), meet.wait_arrival()]
            assert held[0].pid != held[1].pid
            for each in held:
                each.release()
            assert {c.read_response().value("pid") for c in (first, second)} == {
                each.pid for each in held
            }


def test_what_a_program_finds_in_its_environment() -> None:
    with Server("--openwhisk", env={"__OW_API_HOST": "a=b=c"}) as server:
        body = init_body(python(FLEXIBLE), binary=True, env={"E": "1=2", "__OW_NAMESPACE": "/ns"})
        assert raw(server, "/init", body).status == 200
        found = [server.call({"env": n})["env"] for n in ("__OW_API_HOST", "E", "__OW_NAMESPACE")]
        assert found == ["a=b=c", "1=2", "/ns"]
        assert server.call({"env": "PATH"})["env"]
        assert server.call({"env": "__OW_PROXY_VERSION"})["env"]
        assert server.call({"env": "__OW_WAIT_FOR_ACK"})["env"] is None


def test_more_than_was_asked_for_is_never_an_answer(plain: Server) -> None:
    plain.post(python(FLEXIBLE))
    pid = pid_of(plain)
    assert plain.call({"say": '{"a": 1}\n{"a": 2}\n'}) == {"a": 1}
    again = plain.call()
    assert again["got"] == {"value": {}}
    assert again["pid"] != pid


def test_what_is_said_before_a_request_is_read_is_not_its_answer(plain: Server) -> None:
    plain.post(python(LATE))
    with Connection(plain.address, timeout=20) as connection:
        assert json.loads(connection.run({"n": 1}).body) == {"value": {"n": 1}}
        # It is not reading now. It prints one line more, once this request waits for it.
        assert json.loads(connection.run({"n": 2}).body) == {"value": {"n": 2}}


def test_a_program_that_loops_is_ended_at_its_deadline_and_a_fresh_one_serves() -> None:
    with Server("--timeout", "1") as server, Rendezvous() as meet:
        server.post(python(FLEXIBLE))
        with Connection(server.address) as runner:
            runner.send_run({"hold": meet.path})
            held = meet.wait_arrival()
            assert b"no answer within 1" in runner.read_response().body
        assert wait_gone(held.pid, 10.0)
        assert pid_of(server) != held.pid


def test_what_a_program_started_goes_with_it(plain: Server) -> None:
    plain.post(python(STARTS))
    left = plain.call()
    assert run_once(plain.address, {"exit": 1}).status == 502
    assert all(wait_gone(pid, 10.0) for pid in left)
    left = plain.call()
    plain.post(python("serve(lambda r: [2])"))
    assert all(wait_gone(pid, 10.0) for pid in left)
    assert plain.call() == [2]


def test_a_program_has_four_descriptors_and_its_deaths_cost_none(whisk: Server) -> None:
    whisk.post(python(FLEXIBLE.replace("os.getpid()", "sorted(os.listdir('/proc/self/fd'))")))
    with Connection(whisk.address) as other:
        assert other.run({}).status == 200
        assert whisk.call()["pid"] == ["0", "1", "2", "3", "4"]  # the last lists them
    descriptors = whisk.descriptors()
    for _ in range(20):
        assert run_once(whisk.address, {"exit": 1}).status == 400
    whisk.call()
    assert whisk.descriptors() < descriptors + 10  # a connection may be closing just now


# -- output ---------------------------------------------------------------------------------


def test_ends_of_activations_are_lines_of_their_own(whisk: Server) -> None:
    whisk.post(python(FLEXIBLE))
    for text in ("whole\n", "", "cut"):
        whisk.call({"print": text})
        whisk.call({"print": text, "stream": 2})
    mark = f"{SENTINEL}\n"
    assert whisk.stdout() == f"whole\n{mark}{mark}" + mark * 2 + f"cut\n{mark}{mark}"
    assert whisk.stderr() == f"{mark}whole\n{mark}" + mark * 2 + f"{mark}cut\n{mark}"


def test_a_flood_of_output_does_not_block(whisk: Server) -> None:
    whisk.post(python(FLEXIBLE))
    text = "0123456789abcdef" * 64 + "\n"
    for _ in range(2):
        whisk.call({"print": text, "times": 4000})
    assert whisk.stdout() == (text * 4000 + f"{SENTINEL}\n") * 2


def test_output_between_runs_is_passed_on(whisk: Server) -> None:
    source = """
import threading
def main(request):
    gate = threading.Event()
    def late():
        time.sleep(0.05)
        os.write(1, b"x" * (3 << 20) + b"\\n")
        with open(request["value"]["fifo"], "w") as done:
            done.write("written")
    threading.Thread(target=late).start()
    return {}
serve(main)
"""
    whisk.post(python(source))
    fifo = whisk.folder / "fifo"
    os.mkfifo(fifo)
    assert whisk.call({"fifo": str(fifo)}) == {}
    assert fifo.read_text() == "written"


# -- the beginning --------------------------------------------------------------------------


@pytest.mark.parametrize("pause", ["", "sleep 0.2; "])
def test_a_program_that_dies_before_it_reads_is_never_current(pause: str) -> None:
    with Server("--openwhisk") as server:
        response = init_once(server.address, f"#!/bin/bash\n{pause}exit 7\n")
        text = "Cannot start action. Check logs for details."
        assert (response.status, json.loads(response.body)) == (502, {"error": text})
        assert server.stdout() == f"{SENTINEL}\n"
        assert server.stderr() == (
            f"cannot start action: command exited (exit status 7)\n{SENTINEL}\n"
        )
        assert json.loads(run_once(server.address, {}).body) == {"error": "no action defined yet"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "Command exited abruptly during initialization. (exit status 0)"),
        ("echo '{\"ok\": false}' >&3; cat", "The action did not initialize properly."),
        ("echo '{}' >&3; cat", "The action did not initialize properly."),
        ("echo 'ok' >&3; cat", "the acknowledgement is not JSON"),
        ("exec 3>&-; sleep 100", "Command exited abruptly during initialization."),
    ],
)
def test_an_acknowledgement_that_is_waited_for(line: str, reason: str) -> None:
    with Server("--openwhisk", env={"OW_WAIT_FOR_ACK": "1"}) as server:
        response = init_once(server.address, f"#!/bin/bash\n{line}\n")
        text = "Cannot start action. Check logs for details."
        assert (response.status, json.loads(response.body)) == (502, {"error": text})
        assert f"cannot start action: {reason}" in server.stderr()


def test_a_program_that_cannot_be_executed(plain: Server) -> None:
    response = init_once(plain.address, "#!/no/such/interpreter\n")
    assert response.status == 502
    assert b"cannot start action: No such file or directory" in response.body


@pytest.mark.parametrize("late", [False, True])
def test_an_unexpected_acknowledgement_is_not_a_result(plain: Server, late: bool) -> None:
    serve = "    time.sleep(0.1); os.write(3, b'{\"ok\": true}\\n')\n"
    if late:  # after it has begun to read
        body = "import threading\ndef late():\n" + serve + "threading.Thread(target=late).start()\n"
        body += "main = lambda r: (time.sleep(0), [r['value']['n']])[1]\n"
        plain.post(python(body + "time.sleep(0.3)\nserve(main)"))
    else:
        plain.post(python("serve(lambda r: [r['value']['n']], acknowledge=True)"))
    assert [plain.call({"n": n}) for n in range(3)] == [[0], [1], [2]]


def test_a_result_that_looks_like_an_acknowledgement_is_a_result(plain: Server) -> None:
    plain.post(python("serve(lambda r: {'ok': True})"))
    assert [plain.call() for _ in range(2)] == [{"ok": True}] * 2


# -- compilers and environments -------------------------------------------------------------

COMPILER = """\
#!/bin/sh
echo "warning: something to think about"
case $2$3 in /*/*) ;; *) exit 9 ;; esac
[ "$1" = bad ] && { echo "error: in line 1"; exit 1; }
[ "$1" = none ] && exit 0
{ echo '#!/bin/bash'; echo 'while read -r line; do'; cat "$2/exec"; echo 'done'; } >"$3/exec"
[ "$1" = wrong ] && echo other/env >"$3/exec.env" || echo own/env >"$3/exec.env"
"""
SOURCE = "echo '{\"compiled\": true}' >&3\n"


@pytest.fixture
def compiled(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "compile").write_text(COMPILER)
    (tmp_path / "compile").chmod(0o755)
    env = {"OW_COMPILER": str(tmp_path / "compile"), "OW_EXECUTION_ENV": "own/env"}
    with Server("--openwhisk", "--workers", "2", env=env) as server:
        yield server


def post_main(server: Server, main: str, code: str | bytes = SOURCE) -> Response:
    with Connection(server.address) as connection:
        return connection.init(code, main)


@pytest.mark.parametrize("code", [SOURCE, programs.zipped({"exec": SOURCE, "other": ""})])
def test_a_compiler_gets_single_files_and_archives(compiled: Server, code: str | bytes) -> None:
    assert post_main(compiled, "main", code).status == 200
    assert compiled.call() == {"compiled": True}


@pytest.mark.parametrize(
    ("main", "text", "log"),
    [
        ("bad", "generate or locate a binary", "error: in line 1"),
        ("none", "generate or locate a binary", "the compiler left no exec"),
        ("wrong", "Cannot start action", "Expected: own/env, found: other/env"),
    ],
)
def test_a_compiler_that_failed_says_why_in_the_log(
    compiled: Server, main: str, text: str, log: str
) -> None:
    response = post_main(compiled, main)
    assert response.status == 502
    assert text in response.body.decode()
    assert log in compiled.stderr()
    assert post_main(compiled, "main").status == 200


def test_a_program_for_another_environment_is_refused() -> None:
    with Server("--openwhisk", env={"OW_EXECUTION_ENV": "own/env"}) as server:
        for files in ({"exec": programs.BASH}, {"exec": programs.BASH, "exec.env": "other/env"}):
            response = init_once(server.address, programs.zipped(dict(files)))
            assert b"Cannot start action" in response.body
        assert server.stderr().count("Executor environment version mismatch.") == 2
        good = programs.zipped({"exec": programs.BASH, "exec.env": " own/env\n"})
        assert init_once(server.address, good).status == 200


def test_python_with_a_python_line_stays_python(plain: Server) -> None:
    plain.post("#!/usr/bin/env python3\ndef main(a): return {'python': __name__}\n")
    assert plain.call() == {"python": "main__"}
    plain.post(programs.zipped({"exec": "def main(a): return ['exec']\n"}))
    assert plain.call() == ["exec"]
    text = base64.b64encode(b"#!/bin/bash\nwhile read l; do echo '[1]' >&3; done\n").decode()
    assert raw(plain, "/init", init_body(text, binary=True)).status == 200
    assert plain.call() == [1]
