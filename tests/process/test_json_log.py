"""``serve --log-format json``: each line is an object, and each activation has one line."""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event
from typing import Any

import pytest

from tests.support import sinks, tree
from tests.support.client import Connection, init_once
from tests.support.rendezvous import Rendezvous
from tests.support.server import Server
from tests.support.wire import ClientError, Response, run_request

from . import control

pytestmark = pytest.mark.slow

JSON = ("--log-format", "json")
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
Entry = dict[str, Any]
PATIENCE = 20.0
"""Seconds that the slowest machine may take."""

SOURCE = """\
import base64, os, signal, socket, subprocess, sys

print("imported")

def meet(path):
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(path)
        end.sendall(str(os.getpid()).encode())
        end.recv(1)

def main(event, context):
    name = event["name"]
    for do in event.get("do", ()):
        if do == "print":
            print("out of", name)
            print("err of", name, file=sys.stderr)
        elif do == "open":
            print("open line of", name, end="")
        elif do == "binary":
            sys.stdout.buffer.write(base64.b64decode(event["data"]))
            sys.stdout.flush()
        elif do == "child":
            subprocess.run(["sh", "-c", 'echo child of "$1"; echo to /dev/stderr >/dev/stderr',
                            "sh", name], check=True)
        elif do == "write":
            os.write(1, b"raw of " + name.encode() + b"\\n")
        elif do == "big":
            for number in range(event["lines"]):
                print(f"{number:0999d}")
        elif do == "big child":
            subprocess.run(["head", "-c", "10000000", "/dev/zero"], check=True)
        elif do == "meet":
            meet(event["at"])
        elif do == "raise":
            raise ValueError(name)
        elif do == "exit":
            os._exit(3)
        elif do == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif do == "hang":
            while True:
                signal.pause()
    return {
        "name": name, "pid": os.getpid(), "context": [context.traceparent, context.tracestate],
        "environ": [os.environ.get("TRACEPARENT"), os.environ.get("TRACESTATE")],
    }
"""

ASYNC = """\
import asyncio

async def main(event):
    print("one of", event["name"])
    reader, writer = await asyncio.open_unix_connection(event["at"])
    writer.write(b"1")
    await reader.read(1)
    writer.close()
    print("two of", event["name"])
    return {}
"""


def parse(text: bytes) -> list[Entry]:
    """Read every line with a parser of JSON; an incomplete or other line raises an error."""
    assert not text or text.endswith(b"\n")
    return [json.loads(line) for line in text.splitlines()]


def log_of(server: Server) -> list[Entry]:
    text = (server.folder / "stdout").read_bytes()
    return parse(text[: text.rfind(b"\n") + 1])


def wait_log(server: Server, enough: Callable[[list[Entry]], object]) -> list[Entry]:
    """Wait until the log is enough; return it."""
    deadline = time.monotonic() + PATIENCE
    while not enough(found := log_of(server)):
        assert time.monotonic() < deadline, found[-5:]
        time.sleep(0.02)
    return found


def wait_asleep(server: Server) -> None:
    """
    Wait until the supervisor has not woken up for longer than between two ticks.

    It reports no sleep, and only a tick that does not come shows one.
    """
    deadline, before = time.monotonic() + PATIENCE, None
    while before != (now := tree.switches({server.pid})):
        assert time.monotonic() < deadline, "the supervisor does not sleep"
        before = now
        time.sleep(0.6)


def ended(server: Server) -> list[Entry]:
    """Stop a server; return its whole log, and check that nothing was printed beside it."""
    server.end_well()
    assert server.stderr() == ""
    return parse((server.folder / "stdout").read_bytes())


def of(entries: list[Entry], event: str, **fields: object) -> list[Entry]:
    return [
        each
        for each in entries
        if each["event"] == event and all(each.get(key) == fields[key] for key in fields)
    ]


def messages(entries: list[Entry], **fields: object) -> list[str]:
    return [each["message"] for each in of(entries, "output", **fields)]


def run(
    server: Server, name: str, *do: str, headers: tuple[str, ...] = (), **event: object
) -> Response:
    with Connection(server.address, timeout=30.0) as connection:
        value = {"name": name, "do": do, **event}
        connection.send(run_request(value, *headers, activation_id=name))
        return connection.read_response()


def test_the_lines_of_a_run_are_attributed_to_it() -> None:
    data = b"\x00\xff{}\r\x1b[0m\xe2\x80\xa8\n\n"
    with Server(*JSON) as server:
        server.post(SOURCE)
        run(server, "a", "print", "child", "write", "open")
        run(server, "b", "binary", data=base64.b64encode(data).decode())
        assert run(server, "c", "raise").status == 200
        log = ended(server)
    assert messages(log, activation_id="a", stream="stdout") == [
        "out of a", "child of a", "raw of a", "open line of a",
    ]  # fmt: skip
    assert messages(log, activation_id="a", stream="stderr") == ["err of a", "to /dev/stderr"]
    assert messages(log, activation_id="b") == ["\x00\\xff{}\r\x1b[0m\u2028", ""]
    assert any(
        "ValueError: c" in each for each in messages(log, activation_id="c", stream="stderr")
    )
    (imported,) = of(log, "output", message="imported")
    assert "activation_id" not in imported
    kinds = [
        (each["activation_id"], each["status"], each["kind"]) for each in of(log, "activation")
    ]
    assert kinds == [("a", 200, "ok"), ("b", 200, "ok"), ("c", 200, "error")]
    (first, *_) = of(log, "activation")
    assert (first["generation"], first["digest"][:7]) == (1, "sha256:")
    assert first["duration_ms"] > 0
    assert first["bytes"] > 0
    assert [each["event"] for each in log if each["event"] not in ("output", "activation")] == [
        "ready", "current", "stopping",
    ]  # fmt: skip
    of_a = [each["event"] for each in log if each.get("activation_id") == "a"]
    assert of_a == ["output"] * 6 + ["activation"]


def test_a_run_without_an_id_gets_one_in_the_log() -> None:
    with Server(*JSON) as server:
        server.post(SOURCE)
        with Connection(server.address) as connection:
            for name in ("a", "b"):
                assert connection.run({"name": name, "do": ["print"]}).status == 200
        log = ended(server)
    first, second = (each["activation_id"] for each in of(log, "activation"))
    assert len({first, second}) == 2
    assert len(first) == 32
    assert messages(log, activation_id=first) == ["out of a", "err of a"]


def test_progress_is_seen_and_a_death_is_told_once() -> None:
    with Rendezvous() as meeting, Server(*JSON, "--timeout", "30") as server:
        server.post(SOURCE)
        with Connection(server.address) as connection:
            value = {"name": "a", "do": ["print", "meet"], "at": meeting.path}
            connection.send(run_request(value, f"traceparent: {PARENT}", activation_id="a"))
            held = meeting.wait_arrival()
            log = wait_log(server, lambda log: of(log, "output", message="out of a"))
            assert not of(log, "activation")
            os.kill(held.pid, signal.SIGKILL)
            assert connection.read_response().status == 502
        assert run(server, "b", "print", "exit").status == 502
        log = ended(server)
    dead, left = of(log, "activation")
    assert (dead["activation_id"], dead["kind"], dead["status"]) == ("a", "died", 502)
    assert (dead["cause"], dead["trace_id"], dead["pid"]) == ("signal 9 (SIGKILL)", TRACE, held.pid)
    assert (left["activation_id"], left["cause"]) == ("b", "exit status 3")
    assert messages(log, activation_id="b") == ["out of b", "err of b"]
    assert len(of(log, "died")) == 2


def test_a_run_past_its_deadline_and_one_at_the_stop() -> None:
    with Rendezvous() as meeting, Server(*JSON, "--timeout", "2") as server:
        server.post(SOURCE)
        assert run(server, "a", "open", "hang").status == 502
        with Connection(server.address) as connection:
            value = {"name": "b", "do": ["print", "meet"], "at": meeting.path}
            connection.send(run_request(value, activation_id="b"))
            meeting.wait_arrival()
            os.kill(server.pid, signal.SIGQUIT)
            assert connection.read_response().status == 503
        log = ended(server)
    late, stopped = of(log, "activation")
    assert (late["kind"], late["cause"]) == ("timed_out", "no answer within 2 s")
    assert messages(log, activation_id="a") == ["open line of a"]
    assert (stopped["activation_id"], stopped["kind"], stopped["status"]) == ("b", "died", 503)
    assert messages(log, activation_id="b") == ["out of b", "err of b"]


@pytest.mark.parametrize("do", ["big", "big child"])
def test_ten_megabytes_of_one_run(do: str) -> None:
    with Server(*JSON) as server:
        server.post(SOURCE)
        assert run(server, "a", do, "print", lines=10_000).status == 200
        log = ended(server)
    found = of(log, "output", activation_id="a", stream="stdout")
    assert found[-1]["message"].endswith("out of a")
    assert len(of(log, "activation")) == 1
    if do == "big":
        assert [each["message"] for each in found[:-1]] == [f"{n:0999d}" for n in range(10_000)]
    else:
        zeros = "".join(each["message"] for each in found)
        assert zeros == "\0" * 10_000_000 + "out of a"
        assert [each.get("part") for each in found] == [True] * (len(found) - 1) + [None]


def test_a_log_that_is_not_read_costs_lines_and_no_answer() -> None:
    with sinks.pipe() as sink, Server(*JSON, output=sink.writing) as server:
        server.post(SOURCE)
        began = time.monotonic()
        for _ in range(3):
            assert run(server, "a", "big", lines=10_000).status == 200
        assert time.monotonic() - began < 10.0
        for _ in range(3):
            assert run(server, "b", "print").status == 200
        before = sink.read()
        taken = sink.read_until(lambda taken: b'"log-lost"' in taken)
        server.end_well()
        taken = sink.read()
    assert len(before) < 1 << 20
    log = parse(taken)
    (lost,) = of(log, "log-lost")
    assert int(lost["message"].split()[0]) > 10_000


def test_where_runs_overlap_a_line_names_none_of_them() -> None:
    with Rendezvous() as meeting, Server(*JSON) as server:
        server.post(ASYNC)
        with Connection(server.address) as first, Connection(server.address) as second:
            first.send(run_request({"name": "a", "at": meeting.path}, activation_id="a"))
            held = meeting.wait_arrival()
            second.send(run_request({"name": "b", "at": meeting.path}, activation_id="b"))
            other = meeting.wait_arrival()
            for each, connection in ((held, first), (other, second)):
                each.release()
                assert connection.read_response().status == 200
        log = ended(server)
    lines = [(each["message"], each.get("activation_id")) for each in of(log, "output")]
    assert sorted(lines, key=str) == [
        ("one of a", "a"), ("one of b", None), ("two of a", None), ("two of b", "b"),
    ]  # fmt: skip
    assert [each["activation_id"] for each in of(log, "activation")] == ["a", "b"]
    assert {each["generation"] for each in of(log, "output")} == {1}


def test_a_worker_of_a_template_has_a_log_of_its_own() -> None:
    slow = "import time\nend = time.process_time() + 0.1\nwhile time.process_time() < end: pass\n"
    with Server(*JSON, "--workers", "2") as server:
        server.post(slow + SOURCE)
        found = control.wait_until(server, lambda found: found["template"], "a template")
        assert found["template"]["pid"]
        for name in map(str, range(8)):
            assert run(server, name, "print", "exit").status == 502
        log = ended(server)
    assert [each["activation_id"] for each in of(log, "activation")] == list("01234567")
    for name in "01234567":
        assert sorted(messages(log, activation_id=name)) == [f"err of {name}", f"out of {name}"]
    assert len({each["pid"] for each in of(log, "activation")}) == 8


def test_an_idle_server_writes_what_a_child_prints() -> None:
    source = """
import subprocess
def main(event):
    subprocess.Popen(["sh", "-c", 'exec 3<"$1"; read line <&3; echo late', "sh", event["at"]])
    return {}
"""
    with Server(*JSON) as server:
        server.post(source)
        fifo = server.folder / "fifo"
        os.mkfifo(fifo)
        assert run(server, "a", at=str(fifo)).status == 200
        with fifo.open("w") as end:
            wait_log(server, lambda log: of(log, "activation"))
            wait_asleep(server)
            end.write("go on\n")
        log = wait_log(server, lambda log: of(log, "output", message="late"))
        server.end_well()
    (late,) = of(log, "output", message="late")
    assert "activation_id" not in late


def test_the_trace_of_a_request_reaches_the_handler_and_comes_back() -> None:
    state = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
    with Server(*JSON) as server:
        server.post(SOURCE)
        first = run(server, "a", headers=(f"traceparent: {PARENT}", f"TraceState: {state}"))
        second = run(server, "b")
        third = run(server, "c", headers=("traceparent: 00-0-0-0", f"tracestate: {state}"))
        fourth = run(server, "d", headers=(f"traceparent: {PARENT}", "tracestate: ==="))
        log = ended(server)
    assert first.value("context") == first.value("environ") == [PARENT, state]
    assert (first.headers["traceparent"], first.headers["tracestate"]) == (PARENT, state)
    for response in (second, third):
        assert response.value("context") == ["", ""]
        assert response.value("environ") == [None, None]
        assert not {"traceparent", "tracestate"} & response.headers.keys()
    assert fourth.value("context") == [PARENT, ""]
    assert fourth.value("environ") == [PARENT, None]
    traces = [each.get("trace_id") for each in of(log, "activation")]
    assert traces == [TRACE, None, None, TRACE]


def test_what_the_server_printed_as_text_is_an_event() -> None:
    with Server(*JSON, env={"HOTWHISK_LOG_FORMATS": "text"}) as server:
        assert init_once(server.address, "def main(:").status == 502
        os.kill(server.pid, signal.SIGHUP)
        wait_log(server, lambda log: of(log, "not-reloaded"))
        log = ended(server)
    events = [each["event"] for each in log if each["event"] != "output"]
    assert events == ["unknown-variable", "ready", "refused", "not-reloaded", "stopping"]
    assert {each["pid"] for each in log if each["event"] != "output"} == {server.pid}


PLANS = (
    ["print"], ["open"], ["child"], ["write", "print"], ["raise"], ["print", "kill"], ["exit"],
    ["big"], ["print", "raise"], [],
)  # fmt: skip
"""What the handler does in the runs of the next test."""

WHOLE_LINES = {"PYTHONUNBUFFERED": ""}
"""If it is set, a run that is killed may have printed a part of its line; see docs/logs.md."""

LOST, AGAIN = 0, -1
"""In the place of a status: the connection ended, or the request is to be sent again."""


class Storm:
    """Clients, replacements and kills of workers, all at once."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.seen: dict[str, int] = {}
        """What each activation was answered with: a status, `LOST` or `AGAIN`."""
        self._pids: list[int] = []
        self._is_over = Event()

    def run(self, clients: int) -> None:
        with ThreadPoolExecutor(clients + 1) as pool:
            disturbing = pool.submit(self._disturb)
            list(pool.map(self._call, range(clients)))
            self._is_over.set()
            disturbing.result()

    def _call(self, client: int) -> None:
        choice = random.Random(client)
        for number in range(150):
            name = f"{client}-{number}"
            try:
                response = run(self.server, name, *choice.choice(PLANS), lines=300)
            except ClientError:
                self.seen[name] = LOST
                continue
            self.seen[name] = AGAIN if b"send it again" in response.body else response.status
            if b'"pid"' in response.body:
                self._pids.append(response.value("pid"))

    def _disturb(self) -> None:
        choice = random.Random(99)
        for number in range(2, 1000):
            if self._is_over.wait(0.05):
                return
            if number % 2:
                self.server.post(f"# {number}\n{SOURCE}")
            elif living := self.server.tree() & {*self._pids[-9:]}:
                with suppress(ProcessLookupError):
                    os.kill(choice.choice(sorted(living)), signal.SIGKILL)


@pytest.mark.timeout(180)
def test_every_activation_has_one_line_under_faults_kills_and_replacements() -> None:
    options = ("--workers", "2", "--crash-count", "1000")
    with Server(*JSON, *options, env=WHOLE_LINES) as server:
        server.post(SOURCE)
        storm = Storm(server)
        storm.run(4)
        log = ended(server)
    seen, found = storm.seen, of(log, "activation")
    lines = Counter(each["activation_id"] for each in found)
    assert not {name for name, status in seen.items() if status > 0} - lines.keys()
    assert lines.keys() <= seen.keys()
    assert set(lines.values()) == {1}
    wrong = [
        each for each in found if seen[each["activation_id"]] not in (LOST, AGAIN, each["status"])
    ]
    assert not wrong
    assert {each["kind"] for each in found} == {"ok", "error", "died"}
    for each in of(log, "output"):
        words = each["message"].split()
        if words and words[0] in ("out", "err", "open", "child", "raw"):
            assert words[-1] == each["activation_id"]
