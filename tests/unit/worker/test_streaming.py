"""What a worker sends for a handler that yields, and how it ends the generator."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from hotwhisk.ipc.counters import Counts
from hotwhisk.ipc.scoreboard import CloseAfter, Phase
from tests.support.wire import run_request
from tests.unit.worker.supervised import SLOT, Client, Supervised

ASK = run_request({})
NDJSON = "application/x-ndjson"
BIG = "x" * (1 << 24)
"""More than the kernel holds for a client that does not read."""


def counts(supervised: Supervised) -> tuple[int, int]:
    """Return how many results and errors the worker has counted."""
    found, _ = Counts.of_block(supervised.scoreboard.counters.block(SLOT))
    return sum(found.results), sum(found.errors)


def read_all(client: Client) -> bytes:
    data = b""
    while more := client.socket.recv(1 << 20):
        data += more
    return data


# -- a synchronous generator ------------------------------------------------------------------


def test_each_part_is_sent_before_the_next_is_computed(supervised: Supervised) -> None:
    client = supervised.connect()
    arrived, phases = [], []

    def numbers(_: object) -> Iterator[object]:
        for number in range(3):
            phases.append(supervised.phase(client))
            yield {"n": number}
            arrived.append(client.socket.recv(65536))

    supervised.serve(numbers)
    client.send(ASK)
    supervised.assign(client)
    for number, data in enumerate(arrived):
        assert data.endswith(b'8\r\n{"n":%d}\n\r\n' % number)
    assert phases == [Phase.RUNNING, Phase.STREAMING, Phase.STREAMING]
    assert client.socket.recv(100) == b"0\r\n\r\n"
    assert supervised.phase(client) is Phase.IDLE
    assert counts(supervised) == (1, 0)


def test_a_stream_is_one_response_and_its_connection_goes_on(supervised: Supervised) -> None:
    supervised.serve(lambda event: iter_of(event["parts"]))
    client = supervised.client(run_request({"parts": ["a", "", "b"]}))
    response = client.response()
    assert (response.status, response.body, response.generation) == (200, b"ab", 7)
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert not response.closes
    client.send(run_request({"parts": []}) + run_request({"parts": [{"n": 1}]}))
    supervised.turn()
    assert client.response().body == b""
    response = client.response()
    assert (response.body, response.headers["content-type"]) == (b'{"n":1}\n', NDJSON)
    assert supervised.phase(client) is Phase.IDLE
    assert supervised.scoreboard.sent(client.number) == supervised.connection(client).sent
    assert counts(supervised) == (3, 0)


def iter_of(parts: list[object]) -> Iterator[object]:
    yield from parts


def test_a_request_that_came_in_pieces_is_answered_in_parts_too(supervised: Supervised) -> None:
    supervised.serve(lambda event: iter_of([event["text"]]))
    sent = run_request({"text": "x" * 100_000})
    client = supervised.client(sent[:1000])
    client.socket.sendall(sent[1000:])
    supervised.turn_until(lambda: client.answered)
    assert client.response().body == b"x" * 100_000
    assert supervised.scoreboard.spill(client.number) == (0, 0)


@pytest.mark.parametrize("options", [[], ["Connection: keep-alive"]])
def test_a_response_to_http_1_0_ends_with_the_connection(
    supervised: Supervised, options: list[str]
) -> None:
    supervised.serve(lambda _: iter_of(["a", "b"]))
    client = supervised.client(run_request({}, *options).replace(b"HTTP/1.1", b"HTTP/1.0"))
    head, _, body = read_all(client).partition(b"\r\n\r\n")
    assert body == b"ab"
    assert b"Connection: close" in head
    assert b"Transfer-Encoding" not in head
    assert supervised.scoreboard.row(client.number).close_after is CloseAfter.REQUESTED


def test_a_stopping_worker_ends_the_connection_after_the_stream(supervised: Supervised) -> None:
    def stopping(_: object) -> Iterator[object]:
        yield "a"
        supervised.requests.stopping = True

    supervised.serve(stopping)
    client = supervised.client(ASK)
    assert client.response().body == b"a"
    assert client.ended


def failing(event: dict[str, object]) -> Iterator[object]:
    yield from event["parts"]  # type: ignore[misc]
    raise ValueError("no more")


def test_an_exception_before_the_first_part_is_answered_as_ever(supervised: Supervised) -> None:
    supervised.serve(failing)
    client = supervised.client(run_request({"parts": []}) + run_request({"parts": []}))
    for _ in range(2):
        assert "ValueError: no more (" in str(client.response().error)
    assert counts(supervised) == (0, 2)


def test_a_first_part_that_json_does_not_have_is_refused(supervised: Supervised) -> None:
    closed = []

    def yields_a_set(_: object) -> Iterator[object]:
        try:
            yield {1}
        finally:
            closed.append(True)

    supervised.serve(yields_a_set)
    response = supervised.client(ASK).response()
    assert response.status == 502
    assert "a part that JSON does not have" in str(response.error)
    assert closed == [True]


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
def test_an_exception_after_the_first_part_cuts_the_stream(
    supervised: Supervised, capfd: pytest.CaptureFixture[str], version: bytes
) -> None:
    supervised.serve(failing)
    client = supervised.client(run_request({"parts": [1, 2]}).replace(b"HTTP/1.1", version))
    data = read_all(client)
    assert data.rstrip(b"\r\n").endswith(b"2")
    assert supervised.phase(client) is Phase.CLOSED
    assert counts(supervised) == (0, 1)
    err = capfd.readouterr().err
    assert "Traceback" in err
    assert "a stream was cut after 2 parts, because its handler failed: ValueError: no more" in err
    assert "AnswersInParts" not in err  # which is ours


def test_a_later_part_that_json_does_not_have_cuts_the_stream(
    supervised: Supervised, capfd: pytest.CaptureFixture[str]
) -> None:
    supervised.serve(lambda _: iter_of([1, {1}]))
    assert read_all(supervised.client(ASK)).endswith(b"2\r\n1\n\r\n")
    assert (
        "cut after 1 part, because its handler failed: the handler yielded a part"
        in capfd.readouterr().err
    )


def test_an_event_stream_has_the_error_as_its_last_event(supervised: Supervised) -> None:
    supervised.serve(failing)
    client = supervised.client(run_request({"parts": ["a"]}, "Accept: text/event-stream"))
    data = read_all(client)
    assert b"Content-Type: text/event-stream\r\n" in data
    assert b"data: a\n\n" in data
    assert b'event: error\ndata: {"error":"ValueError: no more (' in data
    assert not data.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("leave", [socket.socket.close, lambda end: end.shutdown(socket.SHUT_WR)])
def test_a_client_that_leaves_ends_the_generator(
    supervised: Supervised, leave: Callable[[socket.socket], None]
) -> None:
    client = supervised.connect()
    seen: list[object] = []

    def endless(_: object) -> Iterator[object]:
        try:
            while True:
                yield "part"
                seen.append("next")
                leave(client.socket)
        except GeneratorExit:
            seen.append("closed")
            raise

    supervised.serve(endless)
    client.send(ASK)
    supervised.assign(client)
    assert seen == ["next", "closed"]
    assert supervised.phase(client) is Phase.CLOSED
    assert supervised.scoreboard.row(client.number).close_after is CloseAfter.REQUESTED
    assert counts(supervised) == (1, 0)


def test_what_a_generator_raises_when_it_is_closed_counts_as_an_error(
    supervised: Supervised, capfd: pytest.CaptureFixture[str]
) -> None:
    client = supervised.connect()

    def stubborn(_: object) -> Iterator[object]:
        try:
            yield "part"
            client.socket.close()
            yield "part"
        except GeneratorExit:
            yield "more"

    supervised.serve(stubborn)
    client.send(ASK)
    supervised.assign(client)
    assert "generator ignored GeneratorExit" in capfd.readouterr().err
    assert counts(supervised) == (0, 1)


def test_a_part_waits_until_its_client_reads(supervised: Supervised) -> None:
    supervised.serve(lambda _: iter_of([BIG, "end"]))
    client = supervised.connect()
    client.send(ASK)
    with ThreadPoolExecutor(1) as pool:
        response = pool.submit(client.response)
        supervised.assign(client)
        assert response.result(20).body == BIG.encode() + b"end"


def test_a_client_that_leaves_while_its_part_waits_ends_the_generator(
    supervised: Supervised,
) -> None:
    closed = []

    def endless(_: object) -> Iterator[object]:
        try:
            while True:
                yield BIG
        finally:
            closed.append(True)

    supervised.serve(endless)
    client = supervised.connect()
    client.send(ASK)

    def read_a_little_and_leave() -> None:
        client.socket.recv(1000)
        client.socket.close()

    with ThreadPoolExecutor(1) as pool:
        left = pool.submit(read_a_little_and_leave)
        supervised.assign(client)
        left.result(20)
    assert closed == [True]


def test_a_synchronous_handler_may_return_an_asynchronous_generator(
    supervised: Supervised,
) -> None:
    def choose(event: dict[str, int]) -> AsyncIterator[object]:
        return count_async(event)

    supervised.serve(choose)
    client = supervised.client(run_request({"n": 2}))
    assert client.response().body == b"01"


# -- an asynchronous generator ----------------------------------------------------------------


async def count_async(event: dict[str, int]) -> AsyncIterator[object]:
    for number in range(event["n"]):
        await asyncio.sleep(0)
        yield str(number)


def until_answered(supervised: Supervised, client: Client) -> bytes:
    found: list[bytes] = []

    def done() -> bool:
        client.receive_some()
        response = client._reader.next()
        if response is not None:
            found.append(response.body)
        return response is not None

    supervised.run_tasks(done)
    return found[0]


def test_an_asynchronous_generator_is_sent_and_its_connection_goes_on(
    supervised: Supervised,
) -> None:
    supervised.serve(count_async)
    client = supervised.client(run_request({"n": 3}) + run_request({"n": 0}))
    assert until_answered(supervised, client) == b"012"
    assert until_answered(supervised, client) == b""
    client.send(run_request({"n": 1}))
    assert until_answered(supervised, client) == b"0"
    assert supervised.phase(client) is Phase.IDLE
    assert counts(supervised) == (3, 0)


def test_a_coroutine_may_return_a_generator_of_either_kind(supervised: Supervised) -> None:
    async def choose(event: dict[str, int]) -> object:
        return iter_of(["a", "b"]) if event["n"] else count_async({"n": 2})

    supervised.serve(choose)
    assert until_answered(supervised, supervised.client(run_request({"n": 1}))) == b"ab"
    assert until_answered(supervised, supervised.client(run_request({"n": 0}))) == b"01"


def test_runs_go_on_while_the_client_of_a_stream_does_not_read(supervised: Supervised) -> None:
    async def parts(event: dict[str, int]) -> AsyncIterator[object]:
        yield BIG if event["big"] else "small"

    supervised.serve(parts)
    slow = supervised.client(run_request({"big": 1}))
    supervised.run_tasks(lambda: slow.answered)
    for _ in range(3):
        other = supervised.client(run_request({"big": 0}))
        assert until_answered(supervised, other) == b"small"
    assert supervised.phase(slow) is Phase.STREAMING
    assert until_answered(supervised, slow) == BIG.encode()


def test_a_task_that_waits_is_cancelled_when_its_client_leaves(supervised: Supervised) -> None:
    seen: list[str] = []

    async def waits(_: object) -> AsyncIterator[object]:
        try:
            yield "part"
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        finally:
            await asyncio.sleep(0)
            seen.append("finally")

    supervised.serve(waits)
    client = supervised.client(ASK)
    supervised.run_tasks(lambda: client.answered)
    client.socket.close()
    supervised.run_tasks(lambda: supervised.phase(client) is Phase.CLOSED)
    assert seen == ["cancelled", "finally"]
    assert not supervised.requests.async_runs.running
    assert counts(supervised) == (1, 0)


def test_a_generator_whose_part_waits_is_closed_when_its_client_leaves(
    supervised: Supervised,
) -> None:
    seen: list[str] = []

    async def endless(_: object) -> AsyncIterator[object]:
        try:
            while True:
                yield BIG
        except GeneratorExit:
            for _ in range(5):
                await asyncio.sleep(0)
            seen.append("closed")
            raise

    supervised.serve(endless)
    client = supervised.client(ASK)
    supervised.run_tasks(lambda: client.answered)
    client.socket.close()
    supervised.run_tasks(lambda: supervised.phase(client) is Phase.CLOSED)
    assert seen == ["closed"]


def test_the_next_request_is_read_after_the_stream(supervised: Supervised) -> None:
    client = supervised.connect()

    async def parts(event: dict[str, int]) -> AsyncIterator[object]:
        yield "a"
        if not event["n"]:
            client.send(run_request({"n": 1}))
        for _ in range(5):
            await asyncio.sleep(0)
        yield "b"

    supervised.serve(parts)
    client.send(run_request({"n": 0}))
    supervised.assign(client)
    assert until_answered(supervised, client) == b"ab"
    assert until_answered(supervised, client) == b"ab"


@pytest.mark.parametrize("parts", [[], ["a"]])
def test_an_exception_in_a_task_is_answered_or_cuts_the_stream(
    supervised: Supervised, parts: list[str]
) -> None:
    async def fails(_: object) -> AsyncIterator[object]:
        for part in parts:
            yield part
        raise ValueError("no more")

    supervised.serve(fails)
    client = supervised.client(ASK)
    if parts:
        supervised.run_tasks(lambda: supervised.phase(client) is Phase.CLOSED)
        assert read_all(client).endswith(b"1\r\na\r\n")
    else:
        assert b"ValueError: no more" in until_answered(supervised, client)
    assert counts(supervised) == (0, 1)


def test_a_stream_that_the_action_cancels_is_cut(supervised: Supervised) -> None:
    tasks: list[asyncio.Task[object]] = []

    async def waits(_: object) -> AsyncIterator[object]:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        yield "a"
        await asyncio.Event().wait()

    supervised.serve(waits)
    client = supervised.client(ASK)
    supervised.run_tasks(lambda: client.answered)
    tasks[0].cancel()
    supervised.run_tasks(lambda: supervised.phase(client) is Phase.CLOSED)
    assert counts(supervised) == (0, 1)


def test_streams_that_may_not_overlap_wait_for_each_other(supervised: Supervised) -> None:
    running: list[int] = []

    async def alone(_: object) -> AsyncIterator[object]:
        running.append(1)
        assert len(running) == 1
        yield "a"
        await asyncio.sleep(0)
        running.pop()

    supervised.serve(alone, overlap=False)
    clients = [supervised.client(ASK) for _ in range(3)]
    for client in clients:
        assert until_answered(supervised, client) == b"a"
