"""``hotwhisk lambda`` against a stand-in for the platform: events, errors, deaths, logs, hooks."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.runtime_api import SECONDS, Platform, Runtime

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

FUNCTION = """\
import logging, os, sys, time

logging.getLogger().setLevel("INFO")

class Odd(Exception):
    pass

def handler(event, context):
    match event.get("do"):
        case "context":
            return {
                "id": context.aws_request_id, "arn": context.invoked_function_arn,
                "name": context.function_name, "version": context.function_version,
                "memory": context.memory_limit_in_mb, "group": context.log_group_name,
                "stream": context.log_stream_name, "tenant": context.tenant_id,
                "identity": context.identity.cognito_identity_id,
                "custom": context.client_context.custom,
                "app": context.client_context.client.app_title,
                "left": context.get_remaining_time_in_millis(),
                "trace": os.environ["_X_AMZN_TRACE_ID"],
            }
        case "trace":
            return os.environ.get("_X_AMZN_TRACE_ID")
        case "raise":
            raise Odd("as told: ü")
        case "set":
            return {1, 2}
        case "bytes":
            return b"\\x00\\xff"
        case "exit":
            sys.exit(3)
        case "sleep":
            time.sleep(60)
        case "log":
            logging.info("told %s", event["text"])
            print("printed")
            context.log("by context")
        case "kill":
            os.kill(os.getpid(), 9)
        case "return":
            return event["value"]
        case "surrogate":
            raise ValueError("\\ud800")
"""


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with Platform() as started:
        yield started


@pytest.fixture(scope="module")
def runtime(platform: Platform) -> Iterator[Runtime]:
    with Runtime(
        platform,
        FUNCTION,
        AWS_LAMBDA_FUNCTION_NAME="f",
        AWS_LAMBDA_FUNCTION_VERSION="7",
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE="128",
        AWS_LAMBDA_LOG_GROUP_NAME="group",
        AWS_LAMBDA_LOG_STREAM_NAME="stream",
    ) as started:
        yield started


def test_the_context_has_what_the_platform_documents(platform: Platform, runtime: Runtime) -> None:
    found = platform.call(
        {"do": "context"},
        seconds=100,
        Trace_Id="Root=1-2-3",
        Aws_Tenant_Id="t1",
        Cognito_Identity='{"cognitoIdentityId":"c1","cognitoIdentityPoolId":"p1"}',
        Client_Context='{"custom":{"k":"v"},"env":{},"client":{"app_title":"App"}}',
    ).json
    assert 0 < found.pop("left") <= 100_000
    assert found.pop("id").startswith("request-")
    assert found == {
        "arn": "arn:aws:lambda:us-east-1:1:function:f",
        "name": "f",
        "version": "7",
        "memory": "128",
        "group": "group",
        "stream": "stream",
        "tenant": "t1",
        "identity": "c1",
        "custom": {"k": "v"},
        "app": "App",
        "trace": "Root=1-2-3",
    }
    assert platform.call({"do": "trace"}).json is None  # an event without a trace


@pytest.mark.parametrize("value", [None, 1, "text ü", [1, {"a": None}], {"a": 1.5}, True])
def test_any_value_of_json_is_a_result(platform: Platform, runtime: Runtime, value: object) -> None:
    posted = platform.call({"do": "return", "value": value})
    assert posted.kind == "response"
    assert posted.json == value


def test_bytes_are_posted_as_they_are(platform: Platform, runtime: Runtime) -> None:
    posted = platform.call({"do": "bytes"})
    assert posted.body == b"\x00\xff"
    assert posted.headers["Content-Type"] == "application/octet-stream"


def test_an_event_comes_back_with_its_invocation_id(platform: Platform, runtime: Runtime) -> None:
    posted = platform.call({}, Invocation_Id="inner-1")
    assert posted.headers["Lambda-Runtime-Invocation-Id"] == "inner-1"


def test_an_exception_is_reported_with_its_own_lines_only(
    platform: Platform, runtime: Runtime
) -> None:
    posted = platform.call({"do": "raise"})
    assert posted.kind == "error"
    assert posted.headers["Lambda-Runtime-Function-Error-Type"] == "Odd"
    found = posted.json
    assert found["errorType"] == "Odd"
    assert found["errorMessage"] == "as told: ü"
    assert found["requestId"].startswith("request-")
    (line,) = found["stackTrace"]
    assert f'File "{runtime.folder}/app.py", line ' in line
    cause = json.loads(posted.headers["Lambda-Runtime-Function-XRay-Error-Cause"])
    assert cause["exceptions"][0]["stack"][0]["label"] == "handler"
    assert "[ERROR] Odd: as told: ü\rTraceback (most recent call last):\r" in raw_log(runtime)


@pytest.mark.parametrize(
    ("event", "kind"),
    [(b"no JSON", "Runtime.UnmarshalError"), ({"do": "set"}, "Runtime.MarshalError")],
)
def test_json_that_cannot_be_read_or_written_has_the_platforms_error(
    platform: Platform, runtime: Runtime, event: object, kind: str
) -> None:
    posted = platform.call(event)
    assert posted.json["errorType"] == kind
    assert posted.json["stackTrace"] == []


@pytest.mark.parametrize(
    ("event", "client", "kind"),
    [
        (b"[" * 200_000, "{}", "Runtime.UnmarshalError"),
        ({}, '{"client":"x"}', "Runtime.LambdaContextUnmarshalError"),
        ({"do": "surrogate"}, "{}", "ValueError"),
    ],
    ids=["deep", "client", "surrogate"],
)
def test_an_odd_event_is_answered_and_the_next_is_handled(
    platform: Platform, runtime: Runtime, event: object, client: str, kind: str
) -> None:
    posted = platform.call(event, Client_Context=client)
    assert posted.kind == "error"
    assert posted.json["errorType"] == kind
    assert platform.call({"do": "return", "value": "again"}).json == "again"


@pytest.mark.parametrize("end", ["kill", "exit"])
def test_an_event_whose_process_ends_is_answered_and_the_next_is_handled(
    platform: Platform, runtime: Runtime, end: str
) -> None:
    posted = platform.call({"do": end})
    assert posted.kind == "error"
    assert posted.json["errorType"] == "Runtime.ExitError"
    assert posted.json["errorMessage"].startswith(f"RequestId: {posted.json['requestId']} Error: ")
    assert platform.call({"do": "return", "value": "again"}).json == "again"


def test_a_function_is_ended_at_its_deadline(platform: Platform, runtime: Runtime) -> None:
    posted = platform.call({"do": "sleep"}, seconds=0.3)
    assert posted.json["errorType"] == "Sandbox.Timedout"
    assert "Task timed out after " in posted.json["errorMessage"]
    assert platform.call({"do": "return", "value": 1}).json == 1


def test_a_result_that_the_platform_refuses_does_not_end_the_runtime(
    platform: Platform, runtime: Runtime
) -> None:
    platform.statuses["response"] = 413
    try:
        platform.call({"do": "return", "value": "too much"})
        platform.wait_polls(1)
    finally:
        del platform.statuses["response"]
    assert platform.call({"do": "return", "value": 1}).json == 1
    assert "the result is too large for the platform: 10 bytes" in runtime.log


def test_the_log_has_lines_with_the_request(platform: Platform, runtime: Runtime) -> None:
    posted = platform.send({"do": "log", "text": "héllo"})
    posted.result(SECONDS)
    lines = runtime.log.splitlines()
    (line,) = [line for line in lines if "told héllo" in line]
    level, at, request, message = line.split("\t")
    assert (level, message) == ("[INFO]", "told héllo")
    assert at.endswith("Z")
    assert request.startswith("request-")
    assert {"printed", "by context"} <= set(lines)


def raw_log(runtime: Runtime) -> str:
    """Return the log with its carriage returns."""
    return (runtime.folder / "log").read_bytes().decode()


# -- the start ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "handler", "kind", "words"),
    [
        ("", "nowhere.handler", "Runtime.ImportModuleError", "No module named 'nowhere'"),
        ("import absent", "app.handler", "Runtime.ImportModuleError", "No module named 'absent'"),
        ("def handler(", "app.handler", "Runtime.UserCodeSyntaxError", "'(' was never closed"),
        ("", "app.handler", "Runtime.HandlerNotFound", "'handler' missing on module 'app'"),
        ("", "handler", "Runtime.MalformedHandlerName", "Bad handler 'handler'"),
        ("", "sys.exit", "Runtime.BuiltInModuleConflict", "built-in module sys"),
        ("1 / 0", "app.handler", "ZeroDivisionError", "division by zero"),
        ("import sys\nsys.exit(4)", "app.handler", "Runtime.ExitError", "sys.exit(4)"),
        ("import os\nos._exit(5)", "app.handler", "Runtime.ExitError", "exit status 5"),
    ],
)
def test_a_function_that_cannot_be_loaded_is_reported(
    platform: Platform, source: str, handler: str, kind: str, words: str
) -> None:
    with Runtime(platform, source, handler) as runtime:
        posted = platform.posted.get(timeout=SECONDS)
        assert posted.kind == "init/error"
        assert posted.headers["Lambda-Runtime-Function-Error-Type"] == kind
        assert posted.json["errorType"] == kind
        assert words in posted.json["errorMessage"]
        assert runtime.wait_end() == 1


def test_a_runtime_ends_with_its_platform(platform: Platform) -> None:
    with Platform() as own, Runtime(own, FUNCTION) as runtime:
        own.statuses["next"] = 500
        own.send({})
        assert runtime.wait_end() == 1
    assert "the platform answers 500 where an event was expected" in runtime.log


def test_a_runtime_ends_if_the_platform_sends_no_http() -> None:
    with Platform() as own, Runtime(own, FUNCTION) as runtime:
        own.send({}, Trace_Id="1\r\nno field")
        assert runtime.wait_end() == 1
    assert "hotwhisk: no event can be taken any more: RequestError(" in runtime.log


def test_options_of_a_server_that_are_not_for_a_function_have_no_effect() -> None:
    source = (
        "calls = []\ndef handler(event, context):\n    calls.append(1)\n    return len(calls)\n"
    )
    others = {"FRESH": "yes", "CLOUDEVENTS": "yes", "PROBATION": "odd"}
    variables = {f"HOTWHISK_{name}": text for name, text in others.items()}
    with Platform() as own, Runtime(own, source, **variables) as runtime:
        assert [own.call({}).json, own.call({}).json] == [1, 2]
        assert (runtime.folder / "run").is_dir()  # HOTWHISK_RUN_DIR is for a function


def test_a_signal_ends_the_runtime_after_the_functions_own_exit() -> None:
    source = "import atexit\natexit.register(print, 'goodbye')\ndef handler(event, context): pass\n"
    with Platform() as own, Runtime(own, source) as runtime:
        own.call({})
        own.wait_polls(1)
        runtime.process.send_signal(signal.SIGTERM)
        assert runtime.wait_end() == 0
    assert "goodbye" in runtime.log


# -- several events at a time ---------------------------------------------------------------

MEETING = """\
import os, socket

def handler(event, context):
    with socket.create_connection(("127.0.0.1", event["port"])) as connection:
        connection.sendall(b"%d\\n" % os.getpid())
        connection.recv(1)
        return os.getpid()
"""
ASYNC_MEETING = """\
import asyncio, os

async def handler(event, context):
    reader, writer = await asyncio.open_connection("127.0.0.1", event["port"])
    writer.write(b"%d\\n" % os.getpid())
    await reader.read(1)
    writer.close()
    return context.aws_request_id
"""


def test_events_at_a_time_have_processes_and_a_killed_one_is_replaced() -> None:
    with (
        Platform() as own,
        Runtime(own, MEETING, AWS_LAMBDA_MAX_CONCURRENCY="4"),
        socket.create_server(("127.0.0.1", 0)) as meeting,
    ):
        meeting.settimeout(SECONDS)
        own.wait_polls(4)
        event = {"port": meeting.getsockname()[1]}
        outcomes = [own.send(event) for _ in range(4)]
        connections = {}
        for _ in outcomes:
            connection, _ = meeting.accept()
            connections[int(connection.makefile().readline())] = connection
        assert len(connections) == 4
        killed, *living = connections
        os.kill(killed, signal.SIGKILL)
        own.wait_polls(1)  # before any other event has its answer
        for pid in living:
            connections[pid].sendall(b".")
        posted = [outcome.result(SECONDS) for outcome in outcomes]
        assert sorted(each.kind for each in posted) == ["error", *["response"] * 3]
        assert {each.json for each in posted if each.kind == "response"} == set(living)
        own.wait_polls(4)
        for connection in connections.values():
            connection.close()


def test_coroutines_of_events_at_a_time_overlap() -> None:
    with (
        Platform() as own,
        Runtime(own, ASYNC_MEETING, AWS_LAMBDA_MAX_CONCURRENCY="4"),
        socket.create_server(("127.0.0.1", 0)) as meeting,
    ):
        meeting.settimeout(SECONDS)
        event = {"port": meeting.getsockname()[1]}
        outcomes = [own.send(event) for _ in range(4)]
        connections = [meeting.accept()[0] for _ in outcomes]
        for connection in connections:
            connection.sendall(b".")
            connection.close()
        ids = [outcome.result(SECONDS).json for outcome in outcomes]
        assert ids == [f"request-{number}" for number in (1, 2, 3, 4)]


# -- logs that the platform reads -----------------------------------------------------------

LOGGING = """\
import logging

def handler(event, context):
    logging.getLogger("shop").warning("low: %d", 3, extra={"item": "tea"})
    try:
        1 / 0
    except ZeroDivisionError:
        logging.exception("failed")
    logging.info("not shown")
    raise KeyError("k")
"""


def test_a_log_of_json_has_the_platforms_names() -> None:
    with Platform() as own, Runtime(own, LOGGING, AWS_LAMBDA_LOG_FORMAT="JSON") as runtime:
        request = own.call({}).json["requestId"]
        first, second, third = map(json.loads, runtime.log.splitlines())
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "item": "tea", "level": "WARNING", "message": "low: 3", "logger": "shop",
        "requestId": request,
    }  # fmt: skip
    assert second["errorType"] == "ZeroDivisionError"
    assert second["stackTrace"]
    assert (third["level"], third["errorType"], third["requestId"]) == (
        "ERROR",
        "KeyError",
        request,
    )


def test_the_log_is_written_in_frames_where_the_platform_gives_a_descriptor() -> None:
    reading, writing = os.pipe()
    with Platform() as own:
        runtime = Runtime(own, LOGGING, _LAMBDA_TELEMETRY_LOG_FD=str(writing))
        runtime.pass_fds = (writing,)
        with runtime:
            os.close(writing)
            own.call({})
    frames = list(read_frames(reading))
    assert [kind for kind, _ in frames] == [0xA55A0013, 0xA55A0017, 0xA55A0017]
    assert frames[0][1].startswith("[WARNING]\t")
    assert "Traceback (most recent call last):\n" in frames[1][1]
    assert frames[2][1].startswith("[ERROR] KeyError: 'k'\nTraceback")
    assert runtime.log == ""


def read_frames(reading: int) -> Iterator[tuple[int, str]]:
    """Read frames until all writers have gone: their type and their text."""
    with os.fdopen(reading, "rb") as pipe:
        while head := pipe.read(16):
            kind, length, _ = struct.unpack(">IIQ", head)
            yield kind, pipe.read(length).decode()


def test_each_process_connects_its_output_to_the_platforms_socket() -> None:
    source = "def handler(event, context):\n    print(event, flush=True)\n"
    with Platform() as own, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        runtime = Runtime(own, source, AWS_LAMBDA_MAX_CONCURRENCY="2")
        path = str(runtime.folder / "log.sock")
        runtime.variables["_LAMBDA_TELEMETRY_LOG_FD_PROVIDER_SOCKET"] = path
        listener.bind(path)
        listener.listen()
        listener.settimeout(SECONDS)
        with runtime:
            own.wait_polls(2)
            own.call("told")
            assert read_until(listener, b"told\n")


def read_until(listener: socket.socket, line: bytes) -> bool:
    """Accept connections until one of them has sent a line."""
    with selectors.DefaultSelector() as selector, ExitStack() as opened:
        selector.register(listener, selectors.EVENT_READ)
        while ready := selector.select(SECONDS):
            for key, _ in ready:
                if key.fileobj is listener:
                    connection = opened.enter_context(listener.accept()[0])
                    selector.register(connection, selectors.EVENT_READ, connection)
                elif not (data := key.data.recv(4096)):
                    selector.unregister(key.data)
                elif line in data:
                    return True
    return False


# -- SnapStart ------------------------------------------------------------------------------

HOOKS = """\
import random
from snapshot_restore_py import register_after_restore, register_before_snapshot

seen = []
random.seed(1)
register_before_snapshot(seen.append, "before 1")
register_before_snapshot(seen.append, "before 2")
register_after_restore(seen.append, "after 1")
register_after_restore(seen.append, "after 2")
{more}

def handler(event, context):
    if event == "kill":
        import os
        os.kill(os.getpid(), 9)
    return [seen, random.random()]
"""
REGISTRY = """\
_before, _after = [], []
def register_before_snapshot(function, *values, **named): _before.append((function, values, named))
def register_after_restore(function, *values, **named): _after.append((function, values, named))
def get_before_snapshot(): return _before
def get_after_restore(): return _after
"""


def snap_start(platform: Platform, more: str = "") -> Runtime:
    """Return a runtime whose function has hooks, with a package of the hooks' names beside it."""
    source = HOOKS.format(more=more)
    runtime = Runtime(platform, source, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start")
    (runtime.folder / "snapshot_restore_py.py").write_text(REGISTRY, encoding="utf-8")
    return runtime


def test_hooks_run_around_the_snapshot_and_random_numbers_are_seeded_again() -> None:
    with Platform() as own, snap_start(own):
        assert own.at_restore.wait(SECONDS)
        own.restore.set()
        seen, number = own.call(1).json
        assert seen == ["before 2", "before 1", "after 1", "after 2"]
        assert number != 0.13436424411240122  # the first number after random.seed(1)
        own.call("kill")
        again, _ = own.call(1).json  # a process that was started after the restore
        assert again == ["after 1", "after 2"]


@pytest.mark.parametrize(
    ("moment", "path", "kind", "code"),
    [
        ("before_snapshot", "init/error", "Runtime.BeforeSnapshotError", 64),
        ("after_restore", "restore/error", "Runtime.AfterRestoreError", 65),
    ],
)
def test_a_hook_that_fails_ends_the_runtime(moment: str, path: str, kind: str, code: int) -> None:
    with Platform() as own:
        own.restore.set()
        with snap_start(own, f"register_{moment}(lambda: 1 / 0)") as runtime:
            posted = own.posted.get(timeout=SECONDS)
            assert posted.kind == path
            assert posted.headers["Lambda-Runtime-Function-Error-Type"] == kind
            assert posted.json["errorType"] == "ZeroDivisionError"
            assert runtime.wait_end() == code
