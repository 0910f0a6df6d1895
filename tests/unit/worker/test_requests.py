"""What the worker answers: by its action, without one, and to an ``/init``."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from hotwhisk.ipc.messages import InitReceived, Recall, Released, StartTimer
from hotwhisk.ipc.scoreboard import CloseAfter, Phase
from hotwhisk.openwhisk.answers import Cause
from hotwhisk.openwhisk.bodies import INIT_TWICE
from hotwhisk.openwhisk.sentinels import BOTH
from hotwhisk.system.output import SENTINEL
from hotwhisk.worker.connection import Stage
from tests.support.wire import post, run_request
from tests.unit.worker.supervised import Client, Supervised

ASK = run_request({"name": "Mike"})
INIT = post("/init", b'{"value": {"code": "..."}}')
INIT_BODY = b'{"value": {"code": "..."}}'


def test_a_run_is_answered_with_the_handlers_result_and_the_generation(
    supervised: Supervised,
) -> None:
    response = supervised.client(ASK).response()
    assert (response.status, response.json()) == (200, {"name": "Mike"})
    assert response.generation == 7


def test_an_exception_of_the_handler_is_the_response(supervised: Supervised) -> None:
    supervised.serve(lambda _: 1 / 0)
    client = supervised.client(ASK)
    assert "ZeroDivisionError: division by zero" in str(client.response().error)
    supervised.serve(lambda event: event)
    client.send(ASK)
    supervised.turn()
    assert client.response().json() == {"name": "Mike"}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (post("/nothing", b""), 404),
        (b"GET /run HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (post("/run", b"[}"), 400),
        (post("/run", b"{}", "Origin: http://page"), 403),
    ],
)
def test_a_request_that_is_refused_keeps_its_connection(
    supervised: Supervised, sent: bytes, status: int
) -> None:
    client = supervised.client(sent)
    assert client.response().status == status
    client.send(ASK)
    supervised.turn()
    assert client.response().status == 200


def test_a_refused_head_request_has_no_body(supervised: Supervised) -> None:
    client = supervised.client(b"HEAD /run HTTP/1.1\r\nHost: localhost\r\n\r\n")
    response = client.socket.recv(1000)
    assert response.startswith(b"HTTP/1.1 405 ")
    assert response.endswith(b"\r\n\r\n")


# -- what the scoreboard learns of a run ------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "close_after"),
    [
        (ASK, CloseAfter.NO),
        (run_request({}, "Connection: close"), CloseAfter.REQUESTED),
        (ASK + ASK, CloseAfter.READ_AHEAD),
    ],
)
def test_the_scoreboard_says_whether_the_connection_can_go_on_without_this_worker(
    supervised: Supervised, sent: bytes, close_after: CloseAfter
) -> None:
    found = []

    def look(event: object) -> object:
        found.append(supervised.scoreboard.row(0).close_after)
        return event

    supervised.serve(look)
    supervised.client(sent)
    assert found[0] is close_after


def test_a_run_has_the_budget_of_its_deadline_or_the_one_of_the_server(
    supervise: Callable[..., Supervised],
) -> None:
    supervised = supervise(timeout=30.0)
    budgets = []

    def look(event: object) -> object:
        budgets.append(supervised.scoreboard.row(0).budget)
        return event

    supervised.serve(look)
    client = supervised.client()
    for deadline in ({}, {"deadline": "1"}, {"deadline": "soon"}, {"deadline": "99999999999999"}):
        client.send(run_request({}, **deadline))
        supervised.turn()
        client.response()
    assert budgets[:3] == [30.0, 30.0, 30.0]
    assert budgets[3] > 1e9


def test_a_run_starts_the_supervisors_timer_unless_it_is_on(supervised: Supervised) -> None:
    supervised.client(ASK)
    assert supervised.messages() == []
    supervised.scoreboard.timer_on = False
    supervised.client(ASK)
    assert supervised.messages() == [StartTimer()]


def test_under_openwhisk_each_run_ends_its_log_on_both_streams(
    supervise: Callable[..., Supervised], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    supervised = supervise(openwhisk=True)
    ended = []

    def speak(event: object) -> object:
        ended.append(supervised.scoreboard.row(0).ended)
        print("no line", end="")
        return event

    supervised.serve(speak)
    client = supervised.client(ASK)
    client.send(ASK)
    supervised.turn()
    assert ended == [0, 0]
    assert supervised.scoreboard.row(0).ended == BOTH
    assert tuple(capfdbinary.readouterr()) == (2 * (b"no line\n" + SENTINEL), 2 * SENTINEL)


# -- without an action ------------------------------------------------------------------------


def test_a_spare_parks_a_run_that_a_worker_will_answer(
    supervise: Callable[..., Supervised],
) -> None:
    spare = supervise()
    client = spare.client(ASK + ASK[:10])
    assert spare.phase(client) is Phase.PARKED
    assert spare.spilled(client) == ASK + ASK[:10]
    spare.serve(lambda event: event)
    spare.assign(client)
    assert client.response().json() == {"name": "Mike"}


def test_a_spare_releases_the_connection_of_a_parked_run(
    supervise: Callable[..., Supervised],
) -> None:
    spare = supervise()
    client = spare.connect()
    client.send(ASK)
    spare.assign(client)
    assert spare.messages() == [Released([[client.number, 1]])]
    assert not spare.connections.by_number


@pytest.mark.parametrize(
    ("openwhisk", "status", "text"),
    [(False, 502, "no action is current: it raised"), (True, 500, "no action defined yet")],
)
def test_a_spare_answers_a_run_itself_if_no_worker_will(
    supervise: Callable[..., Supervised], openwhisk: bool, status: int, text: str
) -> None:
    spare = supervise(openwhisk=openwhisk)
    client = spare.client(ASK, Cause.LOAD_FAILED, "it raised")
    response = client.response()
    assert (response.status, response.error) == (status, text)
    assert spare.phase(client) is Phase.IDLE


# -- /init ------------------------------------------------------------------------------------


def test_an_init_is_forwarded_in_a_spill_file(supervised: Supervised) -> None:
    client = supervised.client(INIT)
    (message,) = supervised.messages()
    assert isinstance(message, InitReceived)
    assert (message.number, message.length, message.last) == (0, len(INIT_BODY), False)
    assert read_body(supervised, message) == INIT_BODY
    assert supervised.phase(client) is Phase.INIT_PENDING
    assert not supervised.connections.by_number
    assert not client.answered


def read_body(supervised: Supervised, message: InitReceived) -> bytes:
    return os.pread(supervised.spills[message.spill], message.length, message.offset)


def test_an_init_with_close_says_that_its_response_is_the_last(supervised: Supervised) -> None:
    supervised.client(post("/init", INIT_BODY, "Connection: close"))
    (message,) = supervised.messages()
    assert isinstance(message, InitReceived)
    assert message.last


def test_what_follows_an_init_is_kept_for_the_worker_that_gets_the_connection_next(
    supervised: Supervised,
) -> None:
    client = supervised.client(INIT + ASK)
    (message,) = supervised.messages()
    assert isinstance(message, InitReceived)
    assert read_body(supervised, message) == INIT_BODY
    assert supervised.spilled(client) == ASK


def test_an_init_in_pieces_is_forwarded_when_it_is_whole(supervised: Supervised) -> None:
    client = supervised.client(INIT[:-1])
    assert supervised.messages() == []
    client.send(INIT[-1:])
    supervised.turn()
    (message,) = supervised.messages()
    assert isinstance(message, InitReceived)
    assert read_body(supervised, message) == INIT_BODY


@pytest.mark.parametrize("run_error", ["", Cause.NO_ACTION, Cause.LOAD_FAILED])
def test_a_second_init_is_refused_where_it_may_not_replace(
    supervise: Callable[..., Supervised], run_error: str, capfd: pytest.CaptureFixture[str]
) -> None:
    supervised = supervise(reinit=False, openwhisk=True)
    supervised.serve(lambda event: event)
    client = supervised.client(INIT, run_error)
    if run_error:
        (message,) = supervised.messages()
        assert isinstance(message, InitReceived)
    else:
        response = client.response()
        assert (response.status, response.error) == (403, INIT_TWICE)
        assert INIT_TWICE in capfd.readouterr().err


# -- while the server stops -------------------------------------------------------------------


def test_a_stopping_server_closes_each_connection_after_its_response(
    supervised: Supervised,
) -> None:
    client = supervised.client()
    supervised.requests.stopping = True
    client.send(ASK)
    supervised.turn()
    response = client.response()
    assert (response.status, response.closes) == (200, True)
    assert client.ended


def test_under_openwhisk_a_stopping_server_begins_no_run(
    supervise: Callable[..., Supervised],
) -> None:
    supervised = supervise(openwhisk=True)
    supervised.serve(lambda event: event)
    supervised.requests.stopping = True
    response = supervised.client(ASK).response()
    assert response.status >= 500
    assert response.closes


# -- coroutines -------------------------------------------------------------------------------


class Gate:
    """A handler that waits until its run is let through."""

    def __init__(self) -> None:
        self.waiting: dict[str, Any] = {}
        self.begun: list[str] = []

    async def run(self, event: dict[str, str]) -> dict[str, str]:
        import asyncio

        self.begun.append(event["name"])
        self.waiting[event["name"]] = asyncio.get_running_loop().create_future()
        await self.waiting[event["name"]]
        return event


def named(name: str) -> bytes:
    return run_request({"name": name})


@pytest.fixture
def gate() -> Gate:
    return Gate()


def answered(supervised: Supervised, client: Client) -> str:
    supervised.run_tasks(lambda: client.answered)
    return str(client.response().json()["name"])


def test_runs_of_coroutines_overlap(supervised: Supervised, gate: Gate) -> None:
    supervised.serve(gate.run)
    first, second = supervised.client(named("first")), supervised.client(named("second"))
    supervised.run_tasks(lambda: gate.begun == ["first", "second"])
    assert supervised.phase(first) is supervised.phase(second) is Phase.RUNNING
    gate.waiting["second"].set_result(None)
    assert answered(supervised, second) == "second"
    assert not first.answered
    gate.waiting["first"].set_result(None)
    assert answered(supervised, first) == "first"
    assert supervised.phase(first) is Phase.IDLE


def test_a_slow_client_gets_the_whole_response_of_a_coroutine(
    supervised: Supervised,
) -> None:
    async def long(event: dict[str, str]) -> dict[str, str]:
        return {"text": "y" * 20_000_000} if event["name"] == "long" else event

    supervised.serve(long)
    client = supervised.client(named("long"))
    supervised.run_tasks(lambda: supervised.connection(client).stage is Stage.WRITING)

    def is_written() -> bool:
        client.receive_some()
        return supervised.phase(client) is Phase.IDLE

    supervised.run_tasks(is_written)
    assert len(client.response().body) > 20_000_000
    client.send(named("short"))
    assert answered(supervised, client) == "short"


def test_where_runs_may_not_overlap_the_next_request_is_queued(
    supervised: Supervised, gate: Gate
) -> None:
    supervised.serve(gate.run, overlap=False)
    first, second = supervised.client(named("first")), supervised.client(named("second"))
    supervised.run_tasks(lambda: gate.begun == ["first"])
    assert supervised.connection(second).stage is Stage.QUEUED
    assert supervised.phase(second) is Phase.BUFFERED
    assert supervised.spilled(second) == named("second")
    gate.waiting["first"].set_result(None)
    assert answered(supervised, first) == "first"
    supervised.run_tasks(lambda: gate.begun == ["first", "second"])
    gate.waiting["second"].set_result(None)
    assert answered(supervised, second) == "second"


def test_a_queued_request_is_released_at_a_recall_and_not_run_here(
    supervised: Supervised, gate: Gate
) -> None:
    supervised.serve(gate.run, overlap=False)
    first, second = supervised.client(named("first")), supervised.client(named("second"))
    supervised.run_tasks(lambda: gate.begun == ["first"])
    supervised.recall()
    supervised.send(Recall())
    # It is as busy as a worker that is stuck, so the recall ends when its run does.
    assert supervised.messages() == [Released([[second.number, 2]], recalled=False)]
    gate.waiting["first"].set_result(None)
    assert answered(supervised, first) == "first"
    supervised.run_tasks(lambda: bool(supervised.connections.by_number))
    assert supervised.messages() == [Released(recalled=True)]
    assert gate.begun == ["first"]


def test_a_connection_is_not_read_while_its_run_goes_on(supervised: Supervised, gate: Gate) -> None:
    supervised.serve(gate.run)
    client = supervised.client(named("first"))
    supervised.run_tasks(lambda: gate.begun == ["first"])
    client.send(named("second"))
    supervised.client(named("other"))
    supervised.run_tasks(lambda: "other" in gate.begun)
    assert client.unread == named("second")
    gate.waiting["first"].set_result(None)
    assert answered(supervised, client) == "first"
    supervised.run_tasks(lambda: "second" in gate.begun)


def test_a_run_that_the_action_cancels_is_answered(supervised: Supervised, gate: Gate) -> None:
    supervised.serve(gate.run)
    client = supervised.client(named("first"))
    supervised.run_tasks(lambda: gate.begun == ["first"])
    gate.waiting["first"].cancel()
    supervised.run_tasks(lambda: client.answered)
    assert "CancelledError" in str(client.response().error)


def test_a_run_whose_task_is_cancelled_before_it_began_is_answered(
    supervised: Supervised, gate: Gate
) -> None:
    supervised.serve(gate.run)
    client = supervised.client(named("first"))
    for task in list(supervised.requests.async_runs.running.values()):
        task.cancel()
    supervised.run_tasks(lambda: client.answered)
    assert "cancelled this run" in str(client.response().error)
