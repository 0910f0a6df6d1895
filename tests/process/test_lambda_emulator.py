"""``hotwhisk lambda`` under AWS Lambda's own emulator, as Lambda and as a Managed Instance."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.lambda_emulator import SECONDS, Emulator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # the first test builds the emulator

FUNCTION = """\
import os, socket

def handler(event, context):
    if "port" in event:
        with socket.create_connection(("127.0.0.1", event["port"])) as connection:
            connection.sendall(b"%d\\n" % os.getpid())
            connection.recv(1)
        return os.getpid()
    if event.get("raise"):
        raise ValueError("as told")
    client = context.client_context
    return {
        "event": event, "arn": context.invoked_function_arn, "id": context.aws_request_id,
        "left": context.get_remaining_time_in_millis(), "client": client and client.custom,
        "trace": os.environ.get("_X_AMZN_TRACE_ID"),
    }
"""


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(FUNCTION) as started:
        yield started


@pytest.fixture(scope="module")
def instance() -> Iterator[Emulator]:
    with Emulator(FUNCTION, concurrency=4) as started:
        yield started


@pytest.fixture(params=["emulator", "instance"])
def either(request: pytest.FixtureRequest) -> Emulator:
    found: Emulator = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def meeting() -> Iterator[socket.socket]:
    """Listen for handlers that tell their process id."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)
        yield listener


def test_an_event_comes_back_with_its_context(either: Emulator) -> None:
    found = either.call({"a": ["ü", 1, None]}).json
    assert found["event"] == {"a": ["ü", 1, None]}
    assert found["arn"].startswith("arn:aws:lambda:us-east-1:")
    assert found["id"]
    assert 0 < found["left"] <= 300_000


def test_an_exception_is_the_answer(either: Emulator) -> None:
    found = either.call({"raise": True}).json
    assert (found["errorType"], found["errorMessage"]) == ("ValueError", "as told")
    assert "in handler\n" in found["stackTrace"][0]
    either.wait_log("ValueError")


def test_a_large_event_comes_back(either: Emulator) -> None:
    event = {"text": "ü" * 500_000}
    assert either.call(event).json["event"] == event


def test_the_client_context_and_the_trace_arrive(instance: Emulator) -> None:
    context = base64.b64encode(json.dumps({"custom": {"k": "v"}}).encode()).decode()
    headers = {"X_Amz_Client_Context": context, "X_Amzn_Trace_Id": "Root=1-a-b"}
    found = instance.call({}, **headers).json
    assert found["client"] == {"k": "v"}
    assert found["trace"].startswith("Root=1-a-b")


def test_a_killed_process_is_an_error_and_the_next_event_is_handled(
    either: Emulator, meeting: socket.socket
) -> None:
    with ThreadPoolExecutor(1) as calls:
        answer = calls.submit(either.call, {"port": meeting.getsockname()[1]})
        connection, _ = meeting.accept()
        os.kill(int(connection.makefile().readline()), signal.SIGKILL)
        found = answer.result(SECONDS).json
        connection.close()
    assert found["errorType"] == "Runtime.ExitError"
    assert "killed by signal 9 (SIGKILL)" in found["errorMessage"]
    assert either.call({"next": 1}).json["event"] == {"next": 1}


def test_an_instance_handles_events_at_a_time_in_processes_of_their_own(
    instance: Emulator, meeting: socket.socket
) -> None:
    event = {"port": meeting.getsockname()[1]}
    with ThreadPoolExecutor(4) as calls:
        answers = [calls.submit(instance.call, event) for _ in range(4)]
        connections = [meeting.accept()[0] for _ in answers]
        pids = {int(each.makefile().readline()) for each in connections}
        for each in connections:
            each.sendall(b".")
            each.close()
        assert {answer.result(SECONDS).json for answer in answers} == pids
    assert len(pids) == 4


@pytest.mark.parametrize("concurrency", [0, 2])
def test_a_function_that_cannot_be_loaded_is_the_answer(concurrency: int) -> None:
    with Emulator("import absent\n", concurrency=concurrency) as emulator:
        answer = emulator.call({})
        emulator.wait_log("Unable to import module 'app': No module named 'absent'")
    assert b"Runtime.ImportModuleError" in answer.body
