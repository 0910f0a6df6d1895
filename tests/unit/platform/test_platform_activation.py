from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hotwhisk.errors import UsageError
from hotwhisk.platform import (
    SENTINEL,
    Action,
    Invoker,
    Limits,
    LogStream,
    Runtime,
    UrlRuntime,
    activation_from,
    replay,
)
from hotwhisk.platform.exchange import HttpAnswer, NoAnswer, call

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"ok":true}'
GONE = b"HTTP/1.1 503 Server Unavailable\r\nContent-Length: 2\r\n\r\n{}"
HELLO = Action("hello", "def main(args): ...", limits=Limits(timeout=5000))


def answer(body: object, status: int = 200) -> bytes:
    content = json.dumps(body).encode()
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(content), content)


@dataclass
class Script:
    """A server that gives these answers, one to a connection, and keeps the requests."""

    answers: list[bytes]
    asked: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    url: str = ""
    log: Callable[[str], None] = lambda _: None

    def serve(self, listener: socket.socket) -> None:
        for answer in self.answers:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as reader:
                path = reader.readline().split()[1].decode()
                length = 0
                while line := reader.readline().strip().lower():
                    if line.startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                self.asked.append((path, json.loads(reader.read(length))))
                self.log(path)
                connection.sendall(answer)


@contextmanager
def serving(*answers: bytes) -> Iterator[Script]:
    script = Script(list(answers))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        script.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=script.serve, args=(listener,), daemon=True)
        thread.start()
        yield script
        thread.join(5.0)
        assert not thread.is_alive(), "an answer was not asked for"


class Scripted(Runtime):
    """A container whose server is a `Script`; each start uses the next one."""

    def __init__(self, *scripts: Script) -> None:
        super().__init__()
        self.scripts = list(scripts)
        self.events: list[str] = []

    def _start(self) -> None:
        self.events.append("start")
        script = self.scripts.pop(0)
        self.url = script.url
        out, self.out = os.pipe()
        err, self.err = os.pipe()
        self.logs = LogStream(out, err)
        script.log = self.write

    def write(self, path: str) -> None:
        if path == "/run":
            os.write(self.out, f"hello\n{SENTINEL}\n".encode())
            os.write(self.err, f"{SENTINEL}\n".encode())

    def _stop(self) -> None:
        self.events.append("stop")
        os.close(self.out)
        os.close(self.err)

    def _pause(self) -> None:
        self.events.append("pause")

    def _resume(self) -> None:
        self.events.append("resume")


def response(record: dict[str, object]) -> dict[str, object]:
    found = record["response"]
    assert isinstance(found, dict)
    return found


def notes(record: dict[str, object]) -> dict[str, object]:
    found = record["annotations"]
    assert isinstance(found, list)
    return {note["key"]: note["value"] for note in found}


def log(record: dict[str, object]) -> list[str]:
    found = record["logs"]
    assert isinstance(found, list)
    return [line[31:] for line in found]


def test_a_cold_and_a_warm_activation() -> None:
    with serving(OK, answer({"a": 1}), answer({"a": 2})) as script, Scripted(script) as runtime:
        invoker = Invoker(namespace="me")
        cold = invoker.invoke(runtime, HELLO, {"x": 1})
        runtime.pause()
        warm = invoker.invoke(runtime, HELLO)
    assert [path for path, _ in script.asked] == ["/init", "/run", "/run"]
    assert response(cold)["result"] == {"a": 1}
    assert log(cold) == log(warm) == ["stdout: hello"]
    assert "initTime" in notes(cold)
    assert "initTime" not in notes(warm)
    assert notes(cold)["limits"] == {"concurrency": 1, "logs": 10, "memory": 256, "timeout": 5000}
    assert (cold["namespace"], cold["name"], cold["version"]) == ("me", "hello", "0.0.1")
    start, end, duration = cold["start"], cold["end"], cold["duration"]
    assert isinstance(start, int)
    assert isinstance(duration, int)
    assert end == start + duration
    assert runtime.events == ["start", "pause", "resume", "stop"]
    run = script.asked[1][1]
    assert run["value"] == {"x": 1}
    assert run["activation_id"] == cold["activationId"]
    assert isinstance(run["deadline"], str)
    assert int(run["deadline"]) >= start + 5000


def test_an_application_error_keeps_the_container_and_a_developer_error_does_not() -> None:
    with (
        serving(OK, answer({"error": "no"}), answer({"error": "x"}, 400)) as first,
        serving(OK, answer({})) as second,
        Scripted(first, second) as runtime,
    ):
        invoker = Invoker()
        assert response(invoker.invoke(runtime, HELLO))["status"] == "application error"
        record = invoker.invoke(runtime, HELLO)
        assert response(record)["status"] == "action developer error"
        assert log(record)[-1].startswith("stderr: The action did not initialize or run as exp")
        assert response(invoker.invoke(runtime, HELLO))["success"] is True
    assert runtime.events == ["start", "stop", "start", "stop"]


def test_a_failed_init_is_the_result() -> None:
    with serving(answer({"error": "bad code"}, 502)) as script, Scripted(script) as runtime:
        record = Invoker().invoke(runtime, HELLO)
    assert response(record)["result"] == {"error": "bad code"}
    assert "initTime" in notes(record)
    assert runtime.events == ["start", "stop"]


def test_keep_after_error_shows_what_a_runtime_does_next() -> None:
    answers = (OK, answer({"error": "x"}, 400), answer({"a": 1}))
    with serving(*answers) as script, Scripted(script) as runtime:
        invoker = Invoker(keep_after_error=True)
        invoker.invoke(runtime, HELLO)
        assert response(invoker.invoke(runtime, HELLO))["success"] is True
    assert runtime.events == ["start", "stop"]


def test_503_of_an_idle_container_moves_the_activation_to_a_fresh_one() -> None:
    with (
        serving(OK, answer({}), GONE) as first,
        serving(OK, answer({"fresh": True})) as second,
        Scripted(first, second) as runtime,
    ):
        invoker = Invoker()
        invoker.invoke(runtime, HELLO)
        record = invoker.invoke(runtime, HELLO)
    assert response(record)["result"] == {"fresh": True}
    assert "initTime" in notes(record)


def test_503_of_a_container_that_just_started_is_a_whisk_error() -> None:
    with serving(OK, GONE) as script, Scripted(script) as runtime:
        record = Invoker().invoke(runtime, HELLO)
    assert response(record)["status"] == "whisk internal error"
    assert record["statusCode"] == 3
    with serving(GONE) as script, Scripted(script) as runtime:
        assert Invoker().invoke(runtime, HELLO)["statusCode"] == 3


def test_another_action_gets_another_container() -> None:
    other = Action("other", "code!")
    with (
        serving(OK, answer({})) as first,
        serving(OK, answer({})) as second,
        Scripted(first, second) as runtime,
    ):
        invoker = Invoker()
        invoker.invoke(runtime, HELLO)
        invoker.invoke(runtime, other)
    assert runtime.events == ["start", "stop", "start", "stop"]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        b"",
        b"nonsense\r\n\r\n",
    ],
)  # fmt: skip
def test_what_does_not_count_as_an_answer(answer: bytes) -> None:
    with serving(answer) as script:
        outcome = call(script.url, "/run", b"{}", limits=(5.0, 100), retry=False)
    assert isinstance(outcome.answer, NoAnswer)
    assert not outcome.answer.refused


def test_a_long_answer_is_cut() -> None:
    with serving(answer("x" * 98)) as script:
        outcome = call(script.url, "/run", b"{}", limits=(5.0, 10), retry=False)
    assert outcome.answer == HttpAnswer(200, b'"xxxxxxxxx', 100)
    assert not outcome.answer.complete


def test_no_answer_in_time_is_the_time_limit() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        runtime = UrlRuntime(f"http://127.0.0.1:{listener.getsockname()[1]}")
        hasty = Action("hello", "code!", limits=Limits(timeout=100))
        record = Invoker().invoke(runtime, hasty)
        assert response(record)["result"] == {
            "error": "The action exceeded its time limits of 100 milliseconds during"
            " initialization."
        }
        assert notes(record)["timeout"] is True
        runtime.pinned = hasty
        runtime.started = True
        assert response(Invoker().invoke(runtime, hasty))["result"] == {
            "error": "The action exceeded its time limits of 100 milliseconds."
        }


def test_init_waits_for_the_port_and_run_does_not() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        run = call(url, "/run", b"{}", limits=(5.0, 100), retry=False)
        assert isinstance(run.answer, NoAnswer)
        assert run.answer.refused
        assert run.seconds < 4
        found: list[object] = []

        def init() -> None:
            found.append(call(url, "/init", b"{}", limits=(10.0, 100), retry=True).answer)

        thread = threading.Thread(target=init)
        thread.start()
        closed.listen()
        connection, _ = closed.accept()
        with connection:
            asked = b""
            while not asked.endswith(b"{}"):  # a close with unread bytes would be a reset
                asked += connection.recv(1 << 16)
            connection.sendall(OK)
        thread.join()
    assert found == [HttpAnswer(200, b'{"ok":true}', 11)]


def test_many_at_a_time_where_the_action_allows_it() -> None:
    action = Action("many", "code!", limits=Limits(concurrency=8))
    with serving(OK, *[answer({"n": 1})] * 4) as script, Scripted(script) as runtime:
        invoker, records = Invoker(), []

        def invoke() -> None:
            records.append(invoker.invoke(runtime, action))

        threads = [threading.Thread(target=invoke) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [path for path, _ in script.asked].count("/init") == 1
    assert [response(record)["result"] for record in records] == [{"n": 1}] * 4
    assert all(log(record) == [] for record in records)


RECORD = {
    "activationId": "abc",
    "namespace": "me",
    "name": "hello",
    "version": "0.0.7",
    "annotations": [
        {"key": "path", "value": "owner/box/hello"},
        {"key": "kind", "value": "python:3.11"},
        {"key": "limits", "value": {"timeout": 4000, "memory": 128, "logs": 1, "concurrency": 1}},
    ],
}


def test_a_record_is_replayed_against_the_action_current() -> None:
    with serving(answer({"b": 2})) as script:
        record = replay(RECORD, script.url, value={"a": 1})
    path, body = script.asked[0]
    assert path == "/run"
    assert body["value"] == {"a": 1}
    assert body["activation_id"] == "abc"
    assert body["action_name"] == "/owner/box/hello"
    assert body["action_version"] == "0.0.7"
    assert body["namespace"] == "me"
    assert notes(record)["kind"] == "python:3.11"
    assert notes(record)["path"] == "owner/box/hello"
    assert response(record)["result"] == {"b": 2}


def test_a_file_with_both_bodies_posts_the_code_first(tmp_path: Path) -> None:
    document = {
        "init": {"value": {"name": "x", "main": "go", "code": "abc!", "env": {"A": "1"}}},
        "run": {"value": [1], "action_name": "/ns/box/x", "api_key": "k"},
    }
    path = tmp_path / "request.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with serving(OK, answer([1])) as script:
        record = replay(path, script.url)
    (_, init), (_, run) = script.asked
    value = init["value"]
    assert isinstance(value, dict)
    assert (value["main"], value["code"], value["env"]["A"]) == ("go", "abc!", "1")
    assert (run["value"], run["api_key"], run["action_name"]) == ([1], "k", "/ns/box/x")
    assert response(record)["result"] == [1]


def test_a_run_body_is_replayed_as_it_is() -> None:
    wanted = activation_from({"value": {"a": 1}, "activation_id": "q"})
    assert (wanted.value, wanted.names.activation, wanted.init) == ({"a": 1}, "q", False)
    assert activation_from({"run": {"a": 1}}).value == {"a": 1}


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({}, "got the keys none"),
        ({"a": 1}, "got the keys a"),
        ({"init": [1]}, "init: expected a JSON object, got list"),
        ({"run": "x"}, "run: expected a JSON object, got str"),
        ({"init": {"code": 1}}, "`code` and `main` must be strings"),
    ],
)
def test_what_cannot_be_replayed_is_named(document: dict[str, object], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        activation_from(document)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        activation_from(tmp_path / "none.json")


def test_a_replacement_is_an_init_of_a_started_runtime() -> None:
    newer = Action("hello", "def main(args): return {}", limits=HELLO.limits)
    script_answers = OK, answer({"a": 1}), OK, answer({"a": 2})
    with serving(*script_answers) as script, Scripted(script) as runtime:
        invoker = Invoker()
        invoker.invoke(runtime, HELLO)
        runtime.pause()
        assert invoker.replace(runtime, newer) is None
        record = invoker.invoke(runtime, newer)
    assert [path for path, _ in script.asked] == ["/init", "/run", "/init", "/run"]
    assert response(record)["result"] == {"a": 2}
    assert runtime.events == ["start", "pause", "resume", "stop"]


class LivesOn(Scripted):
    """A server that ends the log also if it refuses an ``/init``, and then goes on."""

    lives_on = True

    def write(self, path: str) -> None:
        super().write("/run" if self.pinned else path)


def test_a_refused_replacement_leaves_the_runtime_as_it_was() -> None:
    refusal = answer({"error": "no such name"}, 502)
    script_answers = OK, answer({"a": 1}), refusal, answer({"a": 1})
    with serving(*script_answers) as script, LivesOn(script) as runtime:
        invoker = Invoker()
        invoker.invoke(runtime, HELLO)
        record = invoker.replace(runtime, Action("hello", "broken", limits=HELLO.limits))
        assert record is not None
        assert response(record)["result"] == {"error": "no such name"}
        assert log(record)[0] == "stdout: hello"
        assert response(invoker.invoke(runtime, HELLO))["result"] == {"a": 1}
    assert [path for path, _ in script.asked] == ["/init", "/run", "/init", "/run"]
    assert runtime.events == ["start", "stop"]
