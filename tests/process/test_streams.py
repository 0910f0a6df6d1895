"""Handlers that answer in parts, in real servers: kills, replacements, limits, slow clients."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

import pytest

from hotwhisk.cli.client import RemoteServer
from hotwhisk.errors import ServerError
from tests.support.client import Connection, Lost, run_once
from tests.support.parts import PartReader, begin
from tests.support.rendezvous import Rendezvous
from tests.support.server import Server
from tests.support.stream_actions import stream_source
from tests.support.waiting import wait_gone
from tests.support.wire import run_request

from . import control

pytestmark = pytest.mark.slow

ENDLESS = 10**9
TIMEOUT = 20.0
Opened = Callable[..., PartReader]
KINDS = pytest.mark.parametrize("asynchronous", [False, True], ids=["def", "async def"])


@pytest.fixture
def meet() -> Iterator[Rendezvous]:
    with Rendezvous() as place:
        yield place


@pytest.fixture
def closed() -> Iterator[Rendezvous]:
    with Rendezvous() as place:
        yield place


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def open_stream(stack: ExitStack, server: Server, event: object, *headers: str) -> PartReader:
    """Ask for a stream on a new connection, which the test closes at its end."""
    reader = begin(server.address, event, *headers, timeout=TIMEOUT)
    stack.enter_context(closing(reader.connection))
    return reader


def serve(stack: ExitStack, *arguments: str, asynchronous: bool = False) -> Server:
    """Start a server with version 1 of the action; it must end by itself at the end of the test."""
    server = stack.enter_context(Server(*arguments))
    server.post(stream_source(1, asynchronous=asynchronous))
    return server


def counted(server: Server) -> dict[str, int]:
    """Return how many answers of each kind were counted in all generations."""
    rows = control.status(server)["counts"]
    kinds = ("ok", "error", "died", "timed_out", "refused")
    return {kind: n for kind in kinds if (n := sum(row[kind] for row in rows))}


def expect_parts(reader: PartReader, numbers: range, version: int = 1) -> dict[str, Any]:
    part: dict[str, Any] = {}
    for number in numbers:
        part = reader.line()
        assert (part["n"], part["version"]) == (number, version)
    return part


def read_until_cut(reader: PartReader) -> None:
    with pytest.raises(Lost):
        reader.rest()


@KINDS
def test_each_part_arrives_when_it_is_yielded(
    stack: ExitStack, meet: Rendezvous, asynchronous: bool
) -> None:
    server = serve(stack, asynchronous=asynchronous)
    reader = open_stream(stack, server, {"hold": 1, "at": meet.path})
    expect_parts(reader, range(1))
    meet.wait_arrival().release()
    expect_parts(reader, range(1, 3))
    assert reader.next() == b""
    reader.again()
    reader.ask({"parts": 1})
    expect_parts(reader, range(1))
    assert reader.rest() == b""
    assert reader.headers["transfer-encoding"] == "chunked"
    assert counted(server) == {"ok": 2}
    server.end_well()


@KINDS
def test_a_kill_before_the_first_part_is_answered_and_after_it_the_stream_is_cut(
    stack: ExitStack, meet: Rendezvous, asynchronous: bool
) -> None:
    server = serve(stack, asynchronous=asynchronous)
    with Connection(server.address) as connection:
        connection.send_run({"hold": 0, "at": meet.path})
        os.kill(meet.wait_arrival().pid, signal.SIGKILL)
        response = connection.read_response()
    assert response.status == 502
    assert "killed by signal 9" in str(response.error)
    reader = open_stream(stack, server, {"hold": 2, "at": meet.path})
    expect_parts(reader, range(2))
    os.kill(meet.wait_arrival().pid, signal.SIGKILL)
    with pytest.raises(Lost):
        reader.next()
    expect_parts(open_stream(stack, server, {}), range(3))
    assert counted(server)["died"] == 2
    deaths = control.status(server)["deaths"]
    assert [each["during"] for each in deaths] == ["a request", "a request"]
    server.end_well()


@KINDS
def test_a_client_that_leaves_ends_the_generator(
    stack: ExitStack, meet: Rendezvous, closed: Rendezvous, asynchronous: bool
) -> None:
    server = serve(stack, asynchronous=asynchronous)
    event = {"parts": ENDLESS, "hold": 1, "at": meet.path, "closed": closed.path}
    reader = open_stream(stack, server, event)
    expect_parts(reader, range(1))
    held = meet.wait_arrival()
    reader.connection.close()
    if not asynchronous:  # it is in the middle of its own code, which goes on to the next `yield`
        held.release()
    ended = closed.wait_arrival()
    assert ended.pid == held.pid
    ended.release()
    assert run_once(server.address, {"parts": 1}).status == 200
    control.wait_until(server, lambda _: counted(server) == {"ok": 2}, "both counted")
    server.end_well()


@KINDS
def test_a_client_that_leaves_while_its_parts_wait_ends_the_generator(
    stack: ExitStack, closed: Rendezvous, asynchronous: bool
) -> None:
    server = serve(stack, asynchronous=asynchronous)
    event = {"parts": ENDLESS, "size": 1 << 20, "closed": closed.path}
    reader = open_stream(stack, server, event)
    assert reader.next()
    reader.connection.close()
    closed.wait_arrival().release()
    server.end_well()


def test_a_slow_reader_keeps_no_other_client_waiting(stack: ExitStack) -> None:
    for arguments, asynchronous in ((("--workers", "2"), False), ((), True)):
        server = serve(stack, *arguments, asynchronous=asynchronous)
        slow = open_stream(stack, server, {"parts": 16, "size": 1 << 20})
        assert slow.next()
        for _ in range(10):
            expect_parts(open_stream(stack, server, {}), range(3))
        data = slow.rest()
        assert len(data) > 15 << 20
        server.end_well()


@KINDS
def test_a_replacement_lets_a_stream_run_to_its_end(
    stack: ExitStack, meet: Rendezvous, asynchronous: bool
) -> None:
    server = serve(stack, asynchronous=asynchronous)
    reader = open_stream(stack, server, {"hold": 1, "at": meet.path})
    part = expect_parts(reader, range(1))
    held = meet.wait_arrival()
    server.post(stream_source(2, asynchronous=asynchronous))
    expect_parts(open_stream(stack, server, {}), range(3), version=2)
    held.release()
    expect_parts(reader, range(1, 3))
    assert reader.next() == b""
    reader.again()
    reader.ask({})
    expect_parts(reader, range(3), version=2)
    assert wait_gone(part["pid"], TIMEOUT)
    server.end_well()


def test_a_stream_of_a_replaced_version_is_cut_after_the_drain_timeout(stack: ExitStack) -> None:
    server = serve(stack, "--drain-timeout", "0.5")
    reader = open_stream(stack, server, {"parts": ENDLESS, "pause": 0.01})
    part = expect_parts(reader, range(1))
    server.post(stream_source(2))
    read_until_cut(reader)
    assert wait_gone(part["pid"], TIMEOUT)
    assert "Traceback" not in server.stderr()
    server.end_well()


@KINDS
def test_a_stream_is_cut_at_its_deadline_and_its_generator_is_closed(
    stack: ExitStack, closed: Rendezvous, asynchronous: bool
) -> None:
    server = serve(stack, "--timeout", "0.5", asynchronous=asynchronous)
    event = {"parts": ENDLESS, "pause": 0.01, "closed": closed.path}
    reader = open_stream(stack, server, event)
    part = expect_parts(reader, range(1))
    read_until_cut(reader)
    ended = closed.wait_arrival()
    assert ended.pid == part["pid"]
    ended.release()
    control.wait_until(server, lambda _: counted(server) == {"error": 1}, "counted as an error")
    assert "a stream was cut after 0.5 s, its limit" in server.stderr()
    assert expect_parts(open_stream(stack, server, {}), range(3))["pid"] == part["pid"]
    server.end_well()


def test_a_generator_that_does_not_end_at_its_deadline_is_killed(
    stack: ExitStack, meet: Rendezvous
) -> None:
    server = serve(stack, "--timeout", "0.5")
    reader = open_stream(stack, server, {"hold": 1, "at": meet.path})
    part = expect_parts(reader, range(1))
    meet.wait_arrival()
    read_until_cut(reader)
    assert wait_gone(part["pid"], TIMEOUT)
    expect_parts(open_stream(stack, server, {}), range(3))
    server.end_well()


def test_a_stop_waits_for_a_stream_and_then_cuts_it(stack: ExitStack, meet: Rendezvous) -> None:
    server = serve(stack, "--drain-timeout", "1", asynchronous=True)
    ends = open_stream(stack, server, {"hold": 1, "at": meet.path})
    endless = open_stream(stack, server, {"parts": ENDLESS, "pause": 0.01})
    expect_parts(ends, range(1))
    expect_parts(endless, range(1))
    server.terminate()
    meet.wait_arrival().release()
    expect_parts(ends, range(1, 3))
    assert ends.next() == b""
    read_until_cut(endless)
    server.end_well()


def test_a_fresh_process_gives_one_stream(stack: ExitStack) -> None:
    server = serve(stack, "--fresh")
    found = {expect_parts(open_stream(stack, server, {}), range(3))["pid"] for _ in range(3)}
    assert len(found) == 3
    server.end_well()


def test_http_1_0_events_and_the_command_invoke(stack: ExitStack) -> None:
    server = serve(stack)
    with Connection(server.address) as connection:
        connection.send(run_request({}).replace(b"HTTP/1.1", b"HTTP/1.0"))
        head, _, body = connection.read_to_end().partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert [json.loads(line)["n"] for line in body.splitlines()] == [0, 1, 2]
    reader = open_stream(stack, server, {"parts": 1}, "Accept: text/event-stream")
    assert reader.rest().startswith(b'data: {"n":0,')
    assert reader.headers["content-type"] == "text/event-stream"
    remote = RemoteServer(server.url, None)
    assert remote.post("/run", {"value": {}}).body.count(b"\n") == 3
    with pytest.raises(ServerError, match="has cut the answer after"):
        remote.post("/run", {"value": {"pause": -1}})  # an exception after the first part


@KINDS
def test_openwhisk_gets_one_result_and_its_streamer_the_parts(
    stack: ExitStack, asynchronous: bool
) -> None:
    def receive(listener: socket.socket) -> bytes:
        end, _ = listener.accept()
        data = b""
        with end:
            while more := end.recv(2048):
                data += more
        return data

    server = serve(stack, "--openwhisk", asynchronous=asynchronous)
    assert [part["n"] for part in run_once(server.address, {}).value("body")] == [0, 1, 2]
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        host, port = listener.getsockname()
        received = pool.submit(receive, listener)
        event = {"STREAM_HOST": host, "STREAM_PORT": str(port)}
        body = run_once(server.address, event).value("body")
        assert [json.loads(line) for line in received.result(TIMEOUT).splitlines()] == body
    assert server.stdout().count("XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX") == 2
    server.end_well()


def test_each_stream_has_its_line_in_a_log_of_json(stack: ExitStack, meet: Rendezvous) -> None:
    server = serve(stack, "--log-format", "json")
    expect_parts(open_stream(stack, server, {}), range(3))
    reader = open_stream(stack, server, {"hold": 1, "at": meet.path})
    expect_parts(reader, range(1))
    os.kill(meet.wait_arrival().pid, signal.SIGKILL)
    read_until_cut(reader)
    server.end_well()
    entries = map(json.loads, server.stdout().splitlines())
    found = [each for each in entries if each["event"] == "activation"]
    assert [(each["kind"], each["status"]) for each in found] == [("ok", 200), ("died", None)]
    assert found[0]["bytes"] > 100
