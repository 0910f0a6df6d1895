"""What OpenWhisk gets of a handler that yields: one result, and a stream where one is asked for."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hotwhisk.openwhisk.sentinels import BOTH
from hotwhisk.worker import joining
from tests.support.wire import Response, run_request
from tests.unit.worker.supervised import Supervised

Supervise = Callable[..., Supervised]


def plain(event: dict[str, Any]) -> Iterator[object]:
    try:
        yield from event["parts"] * event.get("times", 1)
    finally:
        print("closed")
    if "fail" in event:
        raise ValueError("no more")


async def asynchronous(event: dict[str, Any]) -> AsyncIterator[object]:
    for part in plain(event):
        yield part


def behind(event: dict[str, Any]) -> AsyncIterator[object]:
    return asynchronous(event)


HANDLERS = [plain, asynchronous, behind]


def run(supervise: Supervise, handler: Callable[..., object], event: object) -> Response:
    supervised = supervise(openwhisk=True)
    supervised.serve(handler)
    client = supervised.client(run_request(event))
    if supervised.requests.action.is_async:  # type: ignore[union-attr]
        supervised.run_tasks(lambda: client.answered)
    assert supervised.scoreboard.row(client.number).ended == BOTH
    return client.response()


@pytest.mark.parametrize("handler", HANDLERS)
def test_the_parts_are_joined(supervise: Supervise, handler: Callable[..., object]) -> None:
    response = run(supervise, handler, {"parts": ["a", "b"]})
    assert (response.status, response.json()) == (200, {"body": "ab"})
    assert "content-length" in response.headers
    response = run(supervise, handler, {"parts": [{"n": 1}, {"n": 2}]})
    assert response.json() == {"body": [{"n": 1}, {"n": 2}]}


@pytest.mark.parametrize("handler", HANDLERS)
def test_an_exception_is_the_answer_and_no_part_is(
    supervise: Supervise, handler: Callable[..., object]
) -> None:
    response = run(supervise, handler, {"parts": ["a"], "fail": 1})
    assert (response.status, response.json()) == (200, {"error": "no more"})


def test_a_part_that_json_does_not_have_is_the_platforms_error(supervise: Supervise) -> None:
    response = run(supervise, lambda _: (each for each in [{"n": float("nan")}]), {})
    assert response.status == 502
    assert response.error == "The action did not return a dictionary or array."


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_streamer_gets_each_part_and_the_result_is_the_same(
    supervise: Supervise, handler: Callable[..., object]
) -> None:
    def serve(listener: socket.socket) -> bytes:
        streamer, _ = listener.accept()
        data = b""
        with streamer:
            while more := streamer.recv(2048):
                data += more
        return data

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        host, port = listener.getsockname()
        got = pool.submit(serve, listener)
        event = {"STREAM_HOST": host, "STREAM_PORT": str(port), "parts": ["a", "b\n", {"n": 1}]}
        response = run(supervise, handler, event)
        assert got.result(20) == b'ab\n{"n":1}\n'
    assert response.json() == {"body": ["a", "b\n", {"n": 1}]}


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_streamer_that_leaves_ends_the_generator(
    supervise: Supervise, handler: Callable[..., object], capfd: pytest.CaptureFixture[str]
) -> None:
    def serve(listener: socket.socket) -> None:
        streamer, _ = listener.accept()
        streamer.recv(1)
        streamer.close()

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        host, port = listener.getsockname()
        left = pool.submit(serve, listener)
        event = {
            "STREAM_HOST": host,
            "STREAM_PORT": str(port),
            "parts": ["x" * 10],
            "times": 90_000,
        }
        response = run(supervise, handler, event)
        left.result(20)
    assert response.status == 200
    assert len(response.json()["body"]) < 900_000
    assert capfd.readouterr().out.startswith("closed\n")


def test_a_streamer_that_reads_nothing_ends_the_generator_where_runs_overlap(
    supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    ended: list[bool] = []

    async def large(_: object) -> AsyncIterator[str]:
        try:
            for number in range(50):
                sent.append(number)
                yield "x" * 1_000_000
        finally:
            ended.append(True)

    monkeypatch.setattr(joining, "SEND_LIMIT", 0.05)
    supervised = supervise(openwhisk=True)
    supervised.serve(large)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        supervised.client(run_request({"STREAM_HOST": host, "STREAM_PORT": port}))
        supervised.run_tasks(lambda: bool(ended))
    assert len(sent) < 50


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_streamer_that_cannot_be_reached_costs_a_line_in_the_log(
    supervise: Supervise, handler: Callable[..., object], capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
    event = {"STREAM_HOST": host, "STREAM_PORT": port, "parts": ["a"]}
    assert run(supervise, handler, event).json() == {"body": "a"}
    assert f"the streamer at {host} port {port} " in capfd.readouterr().err


@pytest.mark.parametrize(
    ("host", "port"), [("", "1"), (3, "1"), ("a", ""), ("a", "x"), ("a", "70000"), ("a", None)]
)
def test_what_is_no_address_is_no_streamer(
    supervise: Supervise, host: object, port: object, capfd: pytest.CaptureFixture[str]
) -> None:
    event = {"STREAM_HOST": host, "STREAM_PORT": port, "parts": ["a"]}
    assert run(supervise, plain, event).json() == {"body": "a"}
    assert "streamer" not in capfd.readouterr().err


@pytest.mark.parametrize("settings", [{}, {"openwhisk": True, "streamer": False}])
def test_a_caller_names_no_address_unless_the_platform_is_openserverless(
    supervise: Supervise, settings: dict[str, object]
) -> None:
    supervised = supervise(**settings)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        host, port = listener.getsockname()
        supervised.serve(plain)
        event = {"STREAM_HOST": host, "STREAM_PORT": str(port), "parts": ["a"]}
        assert supervised.client(run_request(event)).response().status == 200
        with pytest.raises(BlockingIOError):
            listener.accept()
