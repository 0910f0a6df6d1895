"""``compare`` and ``invoke --activation``, against runtimes of a few lines."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotwhisk.cli import compare, main
from hotwhisk.errors import UsageError
from hotwhisk.json_differences import LONGEST
from hotwhisk.platform import Action, ContainerRuntime, Invoker, ProcessRuntime
from hotwhisk.platform import compare as runtimes
from hotwhisk.platform.compare import runtime_of
from hotwhisk.platform.differences import (
    LEAST_MS,
    Record,
    differences,
    shared_failures,
    slower,
)

# Runs the code as the body of a function of `value` and `side`; what it returns is the answer.
SERVER = """
import json, os, socket, sys
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
handler, side = None, sys.argv[1]
while True:
    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as reader:
        head = reader.readline().split()
        if not head:
            continue
        size = 0
        while line := reader.readline().strip().lower():
            if line.startswith(b"content-length:"):
                size = int(line.split(b":")[1])
        request = json.loads(reader.read(size))
        answer = {"ok": True}
        if head[1] == b"/init":
            code = request["value"]["code"]
        else:
            found = {"value": request["value"], "side": side, "id": request["activation_id"]}
            exec(code, found)
            answer = found["answer"]
            for stream in (sys.stdout, sys.stderr):
                print("XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX", file=stream, flush=True)
        body = json.dumps(answer).encode()
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
"""


Write = Callable[[str, str], str]


def record(result: object = None, logs: tuple[str, ...] = (), **more: Any) -> Record:
    stamp = "2026-11-22T10:00:00.000000000Z"
    return {
        "response": {"status": more.get("status", "success"), "result": result},
        "logs": [f"{stamp} {line}" for line in logs],
        "duration": more.get("init", 0) + more.get("run", 0),
        "annotations": [{"key": "initTime", "value": more.get("init", 0)}],
    }


def told(old: Record, new: Record, *ignored: str) -> list[str]:
    patterns = [re.compile(each) for each in ignored]
    return [each.shown() for each in differences(old, new, patterns)]


def test_equal_records_do_not_differ() -> None:
    one = record({"a": [1, {"b": None}]}, ("stdout: x", "stderr: y"), run=5)
    other = record({"a": [1, {"b": None}]}, ("stderr: y", "stdout: x"), run=5000)
    assert differences(one, other) == []


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "  result.a.b\n    - 1\n    + 2"),
        ({"a": 1}, {}, "  result.a\n    - 1\n    + (absent)"),
        ({}, {"a b": None}, '  result["a b"]\n    - (absent)\n    + null'),
        ([1, 2], [1, 3], "  result[1]\n    - 2\n    + 3"),
        ([1], [1, 2], "  result\n    - [1]\n    + [1, 2]"),
        ({"n": 1}, {"n": 1.0}, "  result.n\n    - 1\n    + 1.0"),
        ({"n": 1}, {"n": True}, "  result.n\n    - 1\n    + true"),
    ],
)
def test_a_result_is_compared_place_by_place(old: object, new: object, shown: str) -> None:
    assert told(record(old), record(new)) == [shown]


def test_of_long_values_the_part_that_differs_is_shown() -> None:
    (shown,) = told(record({"a": "x" * 5000 + "old"}), record({"a": "x" * 5000 + "new"}))
    _, old, new = shown.splitlines()
    assert old.endswith('xold"')
    assert new.endswith('xnew"')
    assert len(old) < LONGEST + 10


def test_status_and_both_streams_are_compared() -> None:
    old = record({}, ("stdout: a", "stdout: b", "stderr: c"))
    new = record({}, ("stdout: a", "stdout: d"), status="application error")
    assert told(old, new) == [
        "  status\n    - success\n    + application error",
        "  log of stdout\n    - b\n    + d",
        "  log of stderr\n    - c",
    ]


def test_what_is_ignored_is_equal() -> None:
    old = record({"at": "10:00", "n": ["pid 7"]}, ("stdout: took 3 ms",))
    new = record({"at": "11:30", "n": ["pid 8"]}, ("stdout: took 4 ms",))
    assert len(told(old, new)) == 3
    assert told(old, new, r"\d\d:\d\d", r"pid \d+", r"\d+ ms") == []


def test_numbers_are_ignored_as_they_are_written() -> None:
    old = record({"took": 1.5, "pid": 7, "ok": True, "list": [8, None]})
    new = record({"took": 2.5, "pid": 9, "ok": True, "list": [8, None]})
    assert len(told(old, new)) == 2
    assert told(old, new, r"^\d\.\d$") == ["  result.pid\n    - 7\n    + 9"]
    assert told(old, new, r"\d") == []
    assert told(record(1), record(True), "null") == ["  result\n    - 1\n    + true"]


def test_the_folder_in_a_traceback_and_lines_ignored_as_a_whole_do_not_differ() -> None:
    old = record({}, ('stderr: File "/action/1/bin/main__.py", line 3, in main', "stderr: x = 1"))
    new = record({}, ('stderr: File "/tmp/7/code/main__.py", line 3, in main',))
    assert told(old, new) == ["  log of stderr\n    - x = 1"]
    assert told(old, new, "^x = .*") == []


ERROR = ("stderr: Traceback (most recent call last):", "stderr: KeyError: 'x'")
MINE = ('stderr: File "/tmp/8080/7/code/__main__.py", line 3, in main', "stderr: x = event['x']")


def test_frames_of_the_launcher_are_no_difference() -> None:
    launchers = (
        ('stderr: File "/action/1/bin/exec__.py", line 72, in <module>', "stderr: res = main(payload)"),
        ('stderr: File "/lib/launcher.py", line 60, in <module>', "stderr: res = main(payload)"),
        ('stderr: File "/pythonAction/pythonrunner.py", line 88, in run',
         "stderr: exec('fun = %s(param)' % self.mainFn, self.global_context)"),
        ('stderr: File "/opt/hotwhisk/lib/hotwhisk/worker/invocation.py", line 9, in call',),
    )  # fmt: skip
    for launcher in launchers:
        main_frame = ('stderr: File "/action/1/bin/main__.py", line 3, in main', *MINE[1:])
        marks = ("stderr: ~~~~~^^^^^",)
        old = record({}, (ERROR[0], *launcher, *marks, *main_frame, *marks, ERROR[1]))
        new = record({}, (ERROR[0], *MINE, ERROR[1]))
        assert told(old, new) == []
        only_launcher = record({}, (ERROR[0], *launcher[:1], ERROR[1]))
        assert told(only_launcher, record({}, ERROR)) == []


def test_a_traceback_that_kept_its_spaces_is_the_same() -> None:
    kept = (
        MINE[0].replace("File", "  File"),
        MINE[1].replace("x =", "    x ="),
        "stderr:     ^^^^",
    )
    old, new = record({}, (ERROR[0], *kept, ERROR[1])), record({}, (ERROR[0], *MINE, ERROR[1]))
    assert told(old, new) == []


def test_frames_of_the_action_are_compared() -> None:
    old = record({}, (ERROR[0], *MINE, ERROR[1]))
    other = record({}, (ERROR[0], MINE[0].replace("line 3", "line 4"), MINE[1], ERROR[1]))
    assert told(old, other) == [
        (
            '  log of stderr\n    - File "…/main__.py", line 3, in main\n'
            '    + File "…/main__.py", line 4, in main'
        )
    ]
    assert told(record({}, ("stdout: ~~~~",)), record({})) == ["  log of stdout\n    - ~~~~"]


def test_of_an_init_or_a_run_that_never_was_there_is_no_time() -> None:
    warm = record(run=5)
    warm["annotations"] = []
    assert not list(slower(record(init=195, run=5), warm, 2))
    assert not list(slower(warm, record(init=195, run=5), 2))
    failed = record(init=100, status="action developer error")
    assert not list(slower(record(init=100, run=300), failed, 2))


def test_actions_are_named_so_that_they_can_be_told_apart(tmp_path: Path) -> None:
    for name in ("a/one", "a/two", "b/two"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "action.py").touch()
    (tmp_path / "hello.py").touch()
    paths = [f"{tmp_path}/{name}" for name in ("a/one/action.py", "a/two/action.py")]
    assert compare.names_apart(paths) == ["one/action", "two/action"]
    paths += [f"{tmp_path}/b/two/action.py", f"{tmp_path}/hello.py", f"{tmp_path}/hello.py"]
    assert compare.names_apart(paths) == [
        "one/action", "a/two/action", "b/two/action", "hello", "hello (2)",
    ]  # fmt: skip
    assert compare.names_apart([f"{tmp_path}/a/two", f"{tmp_path}/b/two"]) == ["a/two", "b/two"]


def test_times_are_told_beyond_the_factor_and_the_noise() -> None:
    assert not list(slower(record(run=1), record(run=LEAST_MS), 2))
    assert not list(slower(record(run=100), record(run=200), 2))
    (late,) = slower(record(run=100, init=5), record(run=300, init=6), 2)
    assert late.where == "time of run: 100 ms, now 300 ms (3.0 times slower)"
    (early,) = slower(record(init=90), record(init=30), 2)
    assert "init: 90 ms, now 30 ms (3.0 times faster)" in early.where


def test_what_failed_on_both_sides_is_told() -> None:
    def ended(status: str) -> Record:
        return record({"error": "cannot load:\nno module"}, status=status)

    failed, raised = ended("action developer error"), ended("application error")
    (both,) = shared_failures(failed, failed)
    assert both.shown() == "  both failed\n    cannot load:\n    no module"
    assert not list(shared_failures(failed, raised)), "that is a difference"
    assert not list(shared_failures(raised, raised)), "an action may answer so"
    assert not list(shared_failures(record({}), record({})))


def test_what_is_a_command_and_what_an_image(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    assert isinstance(runtime_of(str(program)), ContainerRuntime)
    program.chmod(0o755)
    assert isinstance(runtime_of(str(program)), ProcessRuntime)
    assert isinstance(runtime_of("serve --port {port}"), ProcessRuntime)
    assert isinstance(runtime_of("openwhisk/action-python-v3.11:nightly"), ContainerRuntime)
    with pytest.raises(UsageError, match="No closing quotation"):
        runtime_of("serve 'this")


@pytest.fixture
def sides(tmp_path: Path) -> list[str]:
    server = tmp_path / "server.py"
    server.write_text(SERVER)
    start = shlex.join([sys.executable, "-I", "-S", str(server)])
    # How fast each side starts is a matter of luck here: a test that is about times says so.
    return ["--factor", "1e9", "--old", f"{start} old {{port}}", "--new", f"{start} new {{port}}"]


@pytest.fixture
def action(tmp_path: Path) -> Write:
    def write(name: str, body: str) -> str:
        (tmp_path / f"{name}.py").write_text(body)
        return str(tmp_path / f"{name}.py")

    return write


def test_nothing_differs(
    sides: list[str], action: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = tmp_path / "events.json"
    events.write_text('[{"n": 1}, [2]]')
    echo = action("echo", "answer = {'got': value, 'id': id}; print(id)")
    assert main(["compare", *sides, "--events", str(events), echo]) == 0
    assert capsys.readouterr().out == "echo: same\n1 action, 2 events: none differs\n"


def test_every_difference_is_printed(
    sides: list[str], action: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = tmp_path / "events.json"
    events.write_text('{"one": [{"n": 1}, {"n": 2}]}')
    one = action("one", "print(side); answer = {'side': side if value['n'] == 2 else ''}")
    two = action("two", "answer = {'error': 'x'} if side == 'new' else {}")
    slow = ["--factor", "1000"]  # a slow machine is no difference
    assert main(["compare", *sides, *slow, "--events", str(events), one, two]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "one: 3 differences",
        "  event 1: log of stdout",
        "    - old",
        "    + new",
        "  event 2: result.side",
        '    - "old"',
        '    + "new"',
        "  event 2: log of stdout",
        "    - old",
        "    + new",
        "two: 2 differences",
        "  event 1: status",
        "    - success",
        "    + application error",
        "  event 1: result.error",
        "    - (absent)",
        '    + "x"',
        "2 actions, 3 events: 2 differ",
    ]
    assert (
        main(["compare", *sides, "--ignore", "old|new", action("log", "print(side); answer = {}")])
        == 0
    )


def test_the_same_failure_on_both_sides_is_the_same_and_is_told(
    sides: list[str], action: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *sides, action("gone", "raise SystemExit(3)")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "gone: same, and both failed",
        "  event 1: both failed",
        "    The action did not produce a valid response and exited unexpectedly.",
        "1 action, 1 event: none differs; 1 event failed on both",
    ]


def test_of_a_command_that_may_not_know_its_port_the_user_hears_in_time(
    sides: list[str], action: Write, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(runtimes, "HINT_SECONDS", 0.1)
    monkeypatch.setattr(runtimes, "LISTEN_SECONDS", 0.3)
    given = ["compare", *sides[:4], "--new", "sleep 60", action("a", "answer = {}")]
    assert main(given) == 2
    said = capsys.readouterr().err
    assert said.count("--new sleep 60: it does not listen yet") == 1
    assert "does not say {port}" in said
    given[given.index("sleep 60")] = "sh -c 'sleep 60' {port}"
    assert main(given) == 2
    assert "does not say" not in capsys.readouterr().err


@pytest.mark.slow
def test_times_fail_only_if_asked(
    sides: list[str], action: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = action("slow", "import time; side == 'new' and time.sleep(0.6); answer = {}")
    assert main(["compare", *sides, "--factor", "3", slow]) == 0
    assert "slow: same\n  event 1: time of run: " in capsys.readouterr().out
    assert main(["compare", *sides, "--factor", "3", "--fail-on-time", slow]) == 1


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"--new": "false x"}, "--new false x: it ended with status 1 before it listened"),
        ({"--new": "echo nothing here"}, "before it listened: nothing here"),
        ({"--ignore": "("}, "--ignore '('"),
        ({"--factor": "0.5"}, "--factor at least 1"),
        ({"--factor": "nan"}, "--factor at least 1"),
        ({"--timeout": "nan"}, "--timeout must be"),
        ({"--timeout": "inf"}, "--timeout must be"),
        ({"--timeout": "0.0001"}, "--timeout must be"),
        ({"--new": " "}, "expected an image or a command"),
        ({"--timeout": "x"}, "--timeout"),
        ({"--events": "/no/such/file"}, "/no/such/file: No such file"),
        ({"--evnts": "x"}, "unknown option --evnts"),
    ],
)
def test_what_cannot_be_compared_is_a_mistake_of_usage(
    sides: list[str],
    action: Write,
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, str],
    text: str,
) -> None:
    words = dict(zip(sides[::2], sides[1::2], strict=True)) | changed
    given = [word for pair in words.items() for word in pair]
    assert main(["compare", *given, action("a", "answer = {}")]) == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{", "3", "[3]", "[]", '{"a": {}}', '{"b": [{}]}'])
def test_events_that_cannot_be_meant(
    sides: list[str], action: Write, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    events = tmp_path / "events.json"
    events.write_text(text)
    given = ["--events", str(events), action("a", "answer = {}")]
    if text == "[]":
        given = given[:2]
    assert main(["compare", *sides, *given]) == 2
    assert capsys.readouterr().err


@pytest.fixture
def url(sides: list[str]) -> Iterator[str]:
    with runtime_of(sides[sides.index("--old") + 1]) as runtime:
        record = Invoker().invoke(runtime, Action("first", "answer = {}"))  # once it listens
        assert record["statusCode"] == 0
        yield runtime.url


def replayed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    return shown


def test_an_activation_is_made_again(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = tmp_path / "both.json"
    code = "answer = {'error': value['bad']} if 'bad' in value else value"
    document = {"init": {"code": code}, "run": {"value": {"a": 1, "b": 2}, "activation_id": "x1"}}
    both.write_text(json.dumps(document))
    call = ["invoke", "--url", url, "--activation", str(both)]
    assert main([*call, "-p", "b", "3"]) == 0
    shown = replayed(capsys)
    assert shown["activationId"] == "x1"
    assert shown["response"]["result"] == {"a": 1, "b": 3}
    record = tmp_path / "record.json"
    record.write_text(json.dumps(shown))
    call = ["invoke", "--url", url, "--activation", str(record)]
    assert main(call) == 0
    assert replayed(capsys)["response"]["result"] == {}
    assert main([*call, "-p", "bad", "no"]) == 1
    assert replayed(capsys)["response"]["status"] == "application error"


def test_an_activation_that_cannot_be_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.json"
    path.write_text('{"value": [1]}')
    call = ["invoke", "--url", "http://[::1", "--activation", str(path)]
    assert main(call) == 2
    assert "expected a URL" in capsys.readouterr().err
    call = ["invoke", "--url", "http://127.0.0.1:1", "--activation", str(path)]
    assert main(call) == 1
    assert "nothing listens on http://127.0.0.1:1 (Connection refused)" in capsys.readouterr().err
    assert main([*call, "-p", "a", "1"]) == 2
    assert "an array" in capsys.readouterr().err
    token = tmp_path / "token"
    token.write_text("0123456789abcdef0123456789abcdef\n")
    assert main([*call, "--token-file", str(token)]) == 2
    assert "no token to send" in capsys.readouterr().err
    assert main([*call, "--url", "https://127.0.0.1:1"]) == 2
    assert main([*call[:3], "--activation", str(tmp_path / "none.json")]) == 2
