"""
A worker is killed after every single step of its code: each call and each return, one a round.

The action installs a profile function, which sees the server's own code around it, and kills
its process at the step of the round. A sweep ends with the first round that nobody dies in.
Whichever step it was: every request gets one answer, its own, and never of another version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.client import Connection, init_once, run_once
from tests.support.rendezvous import Rendezvous
from tests.support.server import Server
from tests.support.wire import Response, init_request, run_request

from . import actions

pytestmark = pytest.mark.slow

MOST_STEPS = 3000
MOST_TESTED = 150
"""Steps in one sweep that are tried; a longer way is gone over at equal distances."""


@pytest.fixture
def server() -> Iterator[Server]:
    # Most of these deaths are outside of a handler, which is not what is tested here.
    with Server("--crash-count", "100000") as started:
        yield started
        started.terminate()
        assert started.wait(10.0) == 0, started.stderr()
        assert not started.left()
        assert "Traceback" not in started.stderr()


def sweep(dies: Callable[[int], bool]) -> int:
    """
    Find by halving how many steps there are, then die at each; how many were tried.
    """
    few, many = 1, MOST_STEPS
    assert dies(few), "nobody dies at the first step"
    while many - few > 8:
        middle = (few + many) // 2
        few, many = (middle, many) if dies(middle) else (few, middle)
    tried = range(1, few + 1, -(-few // MOST_TESTED))
    for steps in tried:
        dies(steps)
    return len(tried)


def judge(response: Response, version: int, token: object) -> str:
    """
    The version's own answer, or an error; which of them.
    """
    if response.status == 200 and response.error is None:
        assert response.value("version") == version, response
        assert response.value("token") == token, response
        return "answer"
    assert response.status >= 400, response
    assert response.error, response
    return "error"


def ask(connection: Connection, address: tuple[str, int], version: int, token: str) -> Connection:
    """
    One request; gives back the connection for the next one.
    """
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
        first = run_once(server.address, {}).value("pid")
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
            response = run_once(server.address, {})
            while response.status != 200:  # the armed one lived until now; it dies only once
                response = run_once(server.address, {})
            return bool(response.value("pid") != first)
        finally:
            connection.close()
            bystander.close()

    assert sweep(dies) > 20


def test_candidate_dies_at_every_step_from_its_ready_on(server: Server) -> None:
    server.post(actions.plain(1))
    token = server.folder / "tmp" / "token"
    outcomes: list[int] = []

    def dies(steps: int) -> bool:
        server.post(actions.plain(1))
        token.touch()
        with Connection(server.address) as kept:
            kept.run({})
            source = actions.stepping_in_ready(2, steps, str(token))
            response = init_once(server.address, source)
            version = 2 if response.status == 200 else 1
            outcomes.append(response.status)
            assert response.status == 200 or response.error, response
            connection = kept
            for number in range(3):
                answer = connection.run({"token": number})
                judge(answer, version, number)
                if answer.closes:
                    assert connection.read_to_end() == b""
                    break
            answer = run_once(server.address, {})
            while answer.status != 200:
                answer = run_once(server.address, {})
            assert answer.value("version") == version
        return response.status != 200

    sweep(dies)
    assert {200, 502} <= set(outcomes)


def test_worker_dies_at_every_step_of_retiring(server: Server) -> None:
    with Rendezvous() as meet:

        def dies(steps: int) -> bool:
            server.post(actions.stepping(1))
            runner, kept = Connection(server.address), Connection(server.address)
            try:
                kept.run({})
                runner.send_run({"hold": meet.path, "steps": steps, "token": "a"})
                held = meet.wait_arrival()
                kept.send_run({"token": "unread"})
                assert init_once(server.address, actions.plain(2)).status == 200
                assert judge(kept.read_response(), 2, "unread") == "answer"
                held.release()
                response = runner.read_response()
                kind = judge(response, 1, "a")
                assert held.wait_gone(10.0)
                runner = follow(runner, server.address, response)
                assert judge(runner.run({"token": "b"}), 2, "b") == "answer"
                return kind == "error"
            finally:
                runner.close()
                kept.close()

        for steps in range(1, 200, 7):
            dies(steps)


def test_worker_dies_at_every_step_of_reading_an_init(server: Server) -> None:
    def dies(steps: int) -> bool:
        server.post(actions.stepping(1))
        first = run_once(server.address, {}).value("pid")
        with Connection(server.address) as poster:
            poster.send(
                run_request({"steps": steps, "token": "a"}) + init_request(actions.stepping(2))
            )
            judge(response := poster.read_response(), 1, "a")
            version = 1
            if not response.closes:
                response = poster.read_response()
                version = 2 if response.status == 200 else 1
                assert response.status == 200 or response.error, response
            answer = run_once(server.address, {"token": "b"})
            while judge(answer, version, "b") != "answer":
                answer = run_once(server.address, {"token": "b"})
            return version == 1 or answer.value("pid") == first

    for steps in range(1, 400, 5):
        dies(steps)
