"""
Kill a worker after every single step of its code: each call and each return, one a round.

The action installs a profile function, which sees the server's own code around it, and kills its
process at the step of the round. A sweep ends with the first round without a death. Whichever step
it was: every request gets one answer, its own, and never of another version.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from tests.support.client import Connection, Lost, init_once, run_once
from tests.support.parts import PartReader
from tests.support.rendezvous import Rendezvous
from tests.support.server import Server
from tests.support.wire import Response, init_request, run_request

from . import actions

pytestmark = pytest.mark.slow

MOST_STEPS = 2000
MOST_TESTED = 60
"""Most steps that are tried in one sweep; a longer one is tried at equal distances."""


@pytest.fixture
def server() -> Iterator[Server]:
    # Most of these deaths are outside of a handler, which is not what is tested here.
    with Server("--crash-count", "100000") as started:
        yield started
        started.terminate()
        assert started.wait(10.0) == 0, started.stderr()
        assert not started.left()
        assert "Traceback" not in started.stderr()


def sweep(dies: Callable[[int], bool], most: int = MOST_TESTED) -> int:
    """Find by halving how many steps there are, then die at each; return how many were tried."""
    few, many = 1, MOST_STEPS
    assert dies(few), "nobody dies at the first step"
    while many - few > 8:
        middle = (few + many) // 2
        few, many = (middle, many) if dies(middle) else (few, middle)
    tried = range(1, few + 1, -(-few // most))
    for steps in tried:
        dies(steps)
    return len(tried)


def judge(response: Response, version: int, token: object) -> str:
    """Return whether it is the version's own answer, or an error; fail for any other."""
    if response.status == 200 and response.error is None:
        assert response.value("version") == version, response
        assert response.value("token") == token, response
        return "answer"
    assert response.status >= 400, response
    assert response.error, response
    return "error"


def ask(connection: Connection, address: tuple[str, int], version: int, token: str) -> Connection:
    """Send one request; return the connection for the next one."""
    response = connection.run({"token": token})
    judge(response, version, token)
    return follow(connection, address, response)


def follow(connection: Connection, address: tuple[str, int], last: Response) -> Connection:
    if not last.closes:
        return connection
    assert connection.read_to_end() == b""
    connection.close()
    return Connection(address)


SHAPES = {
    "one": lambda steps: [run_request({"steps": steps, "token": "a"})],
    "pipelined": lambda steps: [
        run_request({"steps": steps, "token": "a"})
        + run_request({"token": "b"})
        + run_request({"token": "c"})
    ],
    "in two parts": lambda steps: [
        (whole := run_request({"steps": steps, "token": "a"}) + run_request({"token": "b"}))[:-20],
        whole[-20:],
    ],
    "large": lambda steps: [
        run_request({"steps": steps, "token": "a"})
        + run_request({"token": "b", "text": "x" * 100_000})
    ],
}


@pytest.mark.parametrize("source", [actions.stepping, actions.stepping_async])
@pytest.mark.parametrize("shape", SHAPES)
def test_worker_dies_at_every_step_of_a_request(
    server: Server, shape: str, source: Callable[[int], str]
) -> None:
    server.post(source(1))

    def dies(steps: int) -> bool:
        first = ask_until_answered(server).value("pid")
        connection = Connection(server.address)
        bystander = Connection(server.address)
        try:
            for part in SHAPES[shape](steps):
                connection.send(part)
            for token in {"one": "a", "pipelined": "abc"}.get(shape, "ab"):
                response = connection.read_response()
                judge(response, 1, token)
                connection = follow(connection, server.address, response)
                if response.closes:
                    break
            for token in ("next", "after"):
                connection = ask(connection, server.address, 1, token)
                bystander = ask(bystander, server.address, 1, token)
            return bool(ask_until_answered(server).value("pid") != first)
        finally:
            connection.close()
            bystander.close()

    assert sweep(dies) > 20


@pytest.mark.parametrize("source", [actions.stepping_parts, actions.stepping_parts_async])
def test_worker_dies_at_every_step_of_a_stream(
    server: Server, source: Callable[[int], str]
) -> None:
    """Then the stream is cut, answered by an error, or whole: never completed by another worker."""
    server.post(source(1))
    outcomes: set[str] = set()

    def dies(steps: int) -> bool:
        ask_until_answered(server)
        bystander = Connection(server.address)
        with Connection(server.address) as connection:
            reader = PartReader(connection)
            reader.ask({"steps": steps, "token": "a"})
            outcome, parts = read_parts(reader)
        outcomes.add(outcome)
        assert parts == [{"n": n, "token": "a"} for n in range(len(parts))]
        assert len(parts) == 3 if outcome == "whole" else outcome == "cut" or not parts
        ask(bystander, server.address, 1, "next").close()
        return outcome != "whole"

    sweep(dies, most=MOST_TESTED // 4)
    assert outcomes == {"error", "cut", "whole"}


def read_parts(reader: PartReader) -> tuple[str, list[object]]:
    """Return how a response in parts ended, and its parts."""
    data = b""
    try:
        while more := reader.next():
            data += more
    except Lost:
        return "cut", [json.loads(line) for line in data.splitlines()]
    lines = [json.loads(line) for line in data.splitlines()]
    return ("whole", lines) if reader.status == 200 else ("error", [])


def put_current(server: Server, source: str) -> None:
    """Post until the source is current: the worker that reads it may still be armed."""
    response = init_once(server.address, source)
    while response.status != 200:
        assert "send it again" in str(response.error), response
        response = init_once(server.address, source)


def test_candidate_dies_at_every_step_from_its_ready_on(server: Server) -> None:
    token = server.folder / "tmp" / "token"
    statuses: set[int] = set()

    def dies(steps: int) -> bool:
        put_current(server, actions.plain(1))
        token.touch()
        connection = Connection(server.address)
        try:
            judge(connection.run({"token": "before"}), 1, "before")
            source = actions.stepping_in_ready(2, steps, str(token))
            response = init_once(server.address, source)
            statuses.add(response.status)
            assert response.status == 200 or response.error, response
            version = 2 if response.status == 200 else 1
            for number in range(3):
                connection = ask(connection, server.address, version, str(number))
            assert ask_until_answered(server).value("version") == version
            return response.status != 200
        finally:
            connection.close()
            token.unlink(missing_ok=True)

    sweep(dies)
    assert statuses == {200, 502}


def ask_until_answered(server: Server) -> Response:
    """Send a request until it is answered: an armed worker dies once, then a new one serves."""
    response = run_once(server.address, {})
    for _ in range(3):
        if response.status == 200:
            break
        assert response.error, response
        response = run_once(server.address, {})
    assert response.status == 200, response
    return response


def test_worker_dies_at_every_step_of_draining(server: Server) -> None:
    with Rendezvous() as loading, Rendezvous() as running:

        def dies(steps: int) -> bool:
            put_current(server, actions.stepping(1))
            poster, runner, kept = (Connection(server.address) for _ in range(3))
            try:
                for connection in (runner, kept):
                    connection.run({})
                poster.send(init_request(actions.held_at_import(2, loading.path)))
                candidate = loading.wait_arrival()
                runner.send_run({"hold": running.path, "steps": steps, "token": "a"})
                held = running.wait_arrival()
                kept.send_run({"token": "unread"})
                candidate.release()
                assert poster.read_response().status == 200
                assert judge(kept.read_response(), 2, "unread") == "answer"
                held.release()
                response = runner.read_response()
                kind = judge(response, 1, "a")
                runner = follow(runner, server.address, response)
                runner = ask(runner, server.address, 2, "b")
                assert judge(runner.run({"token": "c"}), 2, "c") == "answer"
                assert judge(kept.run({"token": "d"}), 2, "d") == "answer"
                assert held.wait_gone(10.0)
                return kind == "error"
            finally:
                for connection in (poster, runner, kept):
                    connection.close()

        for steps in range(1, 240, 4):
            dies(steps)


def test_worker_dies_at_every_step_of_reading_an_init(server: Server) -> None:
    def dies(steps: int) -> bool:
        put_current(server, actions.stepping(1))
        with Connection(server.address) as poster:
            poster.send(
                run_request({"steps": steps, "token": "a"}) + init_request(actions.plain(2))
            )
            response = poster.read_response()
            judge(response, 1, "a")
            done = False
            if not response.closes:
                response = poster.read_response()
                done = response.status == 200
                assert done or response.error, response
            assert ask_until_answered(server).value("version") == (2 if done else 1)
        return not done

    assert sweep(dies) > 20
