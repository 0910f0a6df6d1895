"""The worker's connections: claimed, checked for a recall, then touched; and what is released."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from itertools import count
from types import FrameType
from typing import Any

from hotwhisk.http1.http1 import Request
from hotwhisk.ipc.messages import Closed, Recall, Released, SpillClosed, SpillCreated, StartTimer
from hotwhisk.ipc.scoreboard import Phase
from hotwhisk.worker.connection import Connection, Stage
from hotwhisk.worker.connections import Connections
from hotwhisk.worker.spill import KEPT, RESERVE, make_file
from tests.support.limits import files_forbidden
from tests.support.wire import post, run_request
from tests.unit.worker.supervised import SLOT, Client, Supervised

ASK = run_request({"name": "Mike"})
AGAIN = run_request({"name": "Anna"})
LARGE = "y" * 20_000_000
"""More than the buffers of two sockets hold."""


@contextmanager
def called_at_each_line(codes: Collection[object], action: Callable[[], object]) -> Iterator[None]:
    """Call ``action`` before each line of some functions that run meanwhile."""

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code not in codes:
            return None
        if event == "line":
            action()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


@contextmanager
def called_at(line: int, code: object, action: Callable[[], object]) -> Iterator[list[bool]]:
    """Call ``action`` before one line of a function that runs meanwhile; the list says so."""
    left, ran = [line], list[bool]()

    def call_once() -> None:
        left[0] -= 1
        if left[0] == 0:
            ran.append(True)
            action()

    with called_at_each_line({code}, call_once):
        yield ran


# -- claim, check, touch ----------------------------------------------------------------------


def test_a_connection_is_claimed_while_it_is_touched_and_not_afterwards(
    supervised: Supervised,
) -> None:
    supervised.serve(lambda _: [supervised.scoreboard.claimed(SLOT)])
    supervised.connect()
    client = supervised.client(ASK)
    assert client.response().json() == [client.number]
    assert supervised.scoreboard.claimed(SLOT) == -1


def test_the_scoreboard_says_that_a_run_is_with_the_action_and_then_that_nothing_is_read(
    supervised: Supervised,
) -> None:
    supervised.serve(lambda _: [supervised.phase(client).name])
    client = supervised.client()
    client.send(ASK)
    supervised.turn()
    assert client.response().json() == ["RUNNING"]
    assert supervised.phase(client) is Phase.IDLE


def test_after_a_recall_nothing_is_read_of_a_connection_that_is_not_busy(
    supervised: Supervised,
) -> None:
    client = supervised.client()
    client.send(ASK)
    supervised.recall()
    supervised.turn()
    assert client.unread == ASK
    assert supervised.phase(client) is Phase.IDLE
    assert supervised.scoreboard.claimed(SLOT) == -1


def test_a_recall_at_any_line_leaves_the_request_answered_or_whole(
    supervised: Supervised,
) -> None:
    client = supervised.client()
    for line in count(1):
        client.send(ASK)
        moved: list[bytes] = []

        def recall(moved: list[bytes] = moved) -> None:
            supervised.recall()
            if supervised.scoreboard.claimed(SLOT) != client.number:
                moved.append(client.unread)  # the supervisor assigns it to another worker

        with called_at(line, Connections.with_claim.__code__, recall) as ran:
            supervised.callback(client)()
        if not ran:
            assert line > 10, "every line was tried"
            return
        answered, kept = client.answered, client.unread or supervised.spilled(client)
        assert kept == (b"" if answered else ASK), line
        assert moved in ([], [client.unread]), "it touched a connection that was not its own"
        assert supervised.scoreboard.claimed(SLOT) == -1
        supervised.send(Recall())
        assert supervised.messages() == [Released([[client.number, line]], recalled=True)]
        supervised.assign(client)
        assert client.response().json() == {"name": "Mike"}


def test_a_request_that_was_read_before_a_recall_is_not_answered_by_this_worker(
    supervised: Supervised,
) -> None:
    client = supervised.client()
    client.send(ASK)

    def read_and_recall(connection: Connection) -> Request | None:
        request = supervised.connections.receive(connection)
        supervised.recall()
        return request

    connection = supervised.connection(client)
    supervised.connections.with_claim(connection, read_and_recall)
    assert supervised.phase(client) is Phase.BUFFERED
    assert supervised.spilled(client) == ASK
    assert not client.answered
    supervised.send(Recall())
    assert supervised.messages() == [Released([[client.number, 1]], recalled=True)]
    supervised.assign(client)
    assert client.response().json() == {"name": "Mike"}


def test_a_connection_whose_response_was_sent_is_never_idle_under_a_claim(
    supervised: Supervised,
) -> None:
    client = supervised.client()
    client.send(ASK)
    states: list[tuple[Phase, bool]] = []

    def note() -> None:
        claimed = supervised.scoreboard.claimed(SLOT) == client.number
        states.append((supervised.phase(client), claimed))

    with called_at_each_line({Connections.response_sent.__code__}, note):
        supervised.callback(client)()
    note()
    assert states[0] == (Phase.RESPONDING, True)
    assert states[-1] == (Phase.IDLE, False)
    # The supervisor would take it for one whose bytes were read and lost.
    assert (Phase.IDLE, True) not in states


# -- what is released -------------------------------------------------------------------------


def test_a_recall_releases_what_is_idle_with_its_epoch(supervised: Supervised) -> None:
    clients = [supervised.client(), supervised.client(ASK)]
    assert clients[1].response().status == 200
    supervised.recall()
    supervised.send(Recall())
    assert supervised.messages() == [Released([[0, 1], [1, 2]], recalled=True)]
    assert not supervised.connections.by_number
    clients[0].send(ASK)
    assert not clients[0].answered


def test_a_connection_that_was_released_is_not_closed(supervised: Supervised) -> None:
    client = supervised.client()
    supervised.recall()
    supervised.send(Recall())
    assert not client.answered
    supervised.assign(client)
    client.send(ASK)
    supervised.turn()
    assert client.response().status == 200


def test_half_a_request_is_released_in_a_spill_file_and_read_on_by_the_next_worker(
    supervised: Supervised,
) -> None:
    client = supervised.client(ASK[:50])
    assert supervised.phase(client) is Phase.BUFFERED
    assert supervised.spilled(client) == ASK[:50]
    supervised.recall()
    supervised.send(Recall())
    assert supervised.messages() == [Released([[client.number, 1]], recalled=True)]
    client.send(ASK[50:])
    supervised.assign(client)
    assert client.response().json() == {"name": "Mike"}


def test_the_supervisor_has_a_spill_file_before_the_scoreboard_names_it(
    supervised: Supervised,
) -> None:
    client = supervised.client()
    client.send(ASK[:50])
    named = []
    connection = supervised.connection(client)
    created = supervised.connections.spills._created

    def note(number: int, descriptor: int) -> None:
        created(number, descriptor)
        supervised.messages()
        named.append((number in supervised.spills, supervised.scoreboard.spill(client.number)))

    supervised.connections.spills._created = note
    supervised.connections.with_claim(connection, supervised.connections.receive)
    assert named == [(True, (0, 0))]
    assert supervised.spilled(client) == ASK[:50]


def test_a_spill_file_too_large_to_keep_is_closed_after_its_request(
    supervised: Supervised,
) -> None:
    supervised.serve(lambda _: {})
    body = run_request({"text": "x" * (KEPT + 1)})
    client = supervised.client()
    view = memoryview(body)
    while view:
        client.socket.sendall(view[:100_000])
        view = view[100_000:]
        supervised.turn()
    supervised.turn_until(lambda: supervised.phase(client) is not Phase.BUFFERED)
    closed = [each for each in supervised.messages() if isinstance(each, SpillClosed)]
    assert [each.spill for each in closed] == list(supervised.spills)


def test_a_request_is_read_into_the_reserve_where_the_action_allows_no_files(
    supervised: Supervised,
) -> None:
    reserve = make_file(RESERVE)
    supervised.spills[77] = reserve
    supervised.send(SpillCreated(77), reserve)
    client = supervised.client()
    client.send(ASK[:50])
    with files_forbidden():
        supervised.turn()
    assert supervised.scoreboard.spill(client.number) == (77, 50)
    client.send(ASK[50:])
    supervised.turn()
    assert client.response().json() == {"name": "Mike"}


def test_a_timeout_that_the_action_sets_for_its_sockets_does_not_concern_clients(
    supervised: Supervised,
) -> None:
    socket.setdefaulttimeout(0.001)
    try:
        client = supervised.connect()
        supervised.assign(client)
    finally:
        socket.setdefaulttimeout(None)
    assert supervised.connection(client).socket.gettimeout() is None


def test_a_busy_connection_stays_at_a_recall_and_is_released_after_its_response(
    supervised: Supervised,
) -> None:
    supervised.serve(lambda _: {"text": LARGE})
    idle = supervised.client()
    client = supervised.client(ASK)
    supervised.client(ASK)  # without any connection the worker would end
    supervised.recall()
    supervised.send(Recall(drain=True))
    assert supervised.messages() == [Released([[idle.number, 1]], recalled=True)]
    client.send(AGAIN)
    assert len(read_slowly(supervised, client)) > len(LARGE)
    assert supervised.messages() == [Released([[client.number, 2]])]
    assert client.unread == AGAIN


def test_what_was_pipelined_before_a_recall_is_released_in_a_spill_file(
    supervised: Supervised,
) -> None:
    def recalled_meanwhile(_: object) -> dict[str, bool]:
        supervised.recall()
        return {"first": True}

    supervised.serve(recalled_meanwhile)
    client = supervised.client(ASK + AGAIN)
    assert client.response().json() == {"first": True}
    assert supervised.phase(client) is Phase.BUFFERED
    assert supervised.spilled(client) == AGAIN
    supervised.send(Recall())
    assert supervised.messages() == [Released([[client.number, 1]], recalled=True)]
    supervised.serve(lambda event: event)
    supervised.assign(client)
    assert client.response().json() == {"name": "Anna"}


def test_a_draining_worker_releases_what_was_pipelined_behind_a_busy_request(
    supervised: Supervised,
) -> None:
    supervised.serve(lambda _: {"text": LARGE})
    supervised.client()
    client = supervised.client(ASK + AGAIN)
    supervised.connections.draining = True
    read_slowly(supervised, client)
    assert supervised.messages() == [Released([[client.number, 2]])]
    assert supervised.spilled(client) == AGAIN


# -- responses --------------------------------------------------------------------------------


def read_slowly(supervised: Supervised, client: Client) -> bytes:
    """Read a response while the worker writes it; return its body."""
    connection = supervised.connection(client)
    assert connection.stage is Stage.WRITING
    while connection.stage is Stage.WRITING:
        supervised.turn(client.socket)
        client.receive_some()
    return client.response().body


def test_pipelined_requests_are_answered_in_turn(supervised: Supervised) -> None:
    client = supervised.client(ASK + AGAIN + ASK[:20])
    assert client.response().json() == {"name": "Mike"}
    assert client.response().json() == {"name": "Anna"}
    assert supervised.spilled(client) == ASK[:20]
    client.send(ASK[20:])
    supervised.turn()
    assert client.response().json() == {"name": "Mike"}


def test_a_slow_client_gets_the_whole_response_and_then_the_next(supervised: Supervised) -> None:
    supervised.serve(lambda event: {"text": LARGE} if event["name"] == "Mike" else event)
    client = supervised.client(ASK + AGAIN)
    assert read_slowly(supervised, client).count(b"y") == len(LARGE)
    assert client.response().json() == {"name": "Anna"}
    assert supervised.phase(client) is Phase.IDLE


def test_other_clients_are_served_while_one_reads_slowly(supervised: Supervised) -> None:
    supervised.serve(lambda event: {"text": LARGE} if event["name"] == "Mike" else event)
    slow = supervised.client(ASK)
    assert supervised.client(AGAIN).response().json() == {"name": "Anna"}
    assert supervised.phase(slow) is Phase.RESPONDING


def test_a_client_that_asks_for_it_is_closed_after_its_response(supervised: Supervised) -> None:
    client = supervised.client(run_request({}, "Connection: close"))
    assert client.response().closes
    assert client.ended
    assert supervised.phase(client) is Phase.CLOSED
    assert not supervised.connections.by_number
    assert supervised.messages() == []


def test_a_closed_connection_is_reported_only_if_the_scoreboard_asks_for_it(
    supervised: Supervised,
) -> None:
    supervised.scoreboard.notify_close = True
    supervised.client(run_request({}, "Connection: close"))
    assert supervised.messages() == [Closed()]


def test_the_end_of_a_client_closes_its_connection(supervised: Supervised) -> None:
    client = supervised.client()
    client.socket.close()
    supervised.turn()
    assert supervised.phase(client) is Phase.CLOSED


def test_the_end_of_a_client_within_a_request_closes_its_connection(
    supervised: Supervised,
) -> None:
    client = supervised.client(ASK[:50])
    client.socket.close()
    supervised.turn()
    assert supervised.phase(client) is Phase.CLOSED
    assert supervised.scoreboard.spill(client.number) == (0, 0)


def test_bytes_that_are_no_request_get_an_error_and_the_connection_lingers(
    supervised: Supervised,
) -> None:
    supervised.scoreboard.timer_on = False
    client = supervised.client(b"GARBAGE\r\n\r\n")
    response = client.response()
    assert (response.status, response.closes) == (400, True)
    assert supervised.phase(client) is Phase.LINGERING
    assert supervised.messages() == [StartTimer()]
    client.send(ASK)
    supervised.turn()
    assert client.unread == b""
    assert client.ended
    client.socket.shutdown(socket.SHUT_WR)
    supervised.turn()
    assert supervised.phase(client) is Phase.CLOSED


def test_what_follows_a_request_with_close_is_discarded_and_the_response_can_be_read(
    supervised: Supervised,
) -> None:
    client = supervised.client(run_request({}, "Connection: close") + ASK)
    assert supervised.phase(client) is Phase.LINGERING
    assert client.response().status == 200
    assert client.ended
    client.socket.close()
    supervised.turn()
    assert supervised.phase(client) is Phase.CLOSED


def test_an_error_is_sent_to_a_slow_client_as_it_reads(supervised: Supervised) -> None:
    client = supervised.client()
    connection = supervised.connection(client)
    supervised.connections.send_error(connection, 502, LARGE)
    assert len(read_slowly(supervised, client)) > len(LARGE)
    assert supervised.phase(client) is Phase.LINGERING


def test_an_error_for_a_client_that_is_gone_closes_its_connection(supervised: Supervised) -> None:
    client = supervised.client()
    connection = supervised.connection(client)
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.socket.close()  # a reset
    supervised.connections.send_error(connection, 502, "gone")
    assert supervised.phase(client) is Phase.CLOSED


def test_a_response_of_many_bytes_counts_them_all(supervised: Supervised) -> None:
    client = supervised.client()
    for _ in range(3):
        client.send(post("/run", b"{}"))
        supervised.turn()
        client.response()
    assert supervised.connection(client).sent == supervised.scoreboard.sent(0)


# -- the channel, and forks of the action -----------------------------------------------------


def test_messages_that_do_not_fit_are_sent_when_the_supervisor_has_read_some(
    supervised: Supervised,
) -> None:
    channel, sent = supervised.connections.channel, 0
    while not channel.backlog:
        channel.send(Closed())
        sent += 1
    received = 0
    while received < sent:
        received += len(supervised.messages())
        if channel.backlog:
            supervised.turn()
    assert not channel.backlog
    client = supervised.client(ASK)  # the channel is read again
    assert client.response().status == 200


def in_fork(step: Callable[[], object]) -> int:
    """Run a step in a fork of this process; return its exit status, 9 if it came to its end."""
    pid = os.fork()
    if not pid:
        try:
            step()
        finally:
            os._exit(9)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_fork_of_the_action_touches_no_connection_and_reads_no_message(
    supervised: Supervised,
) -> None:
    client = supervised.client()
    callback = supervised.callback(client)
    client.send(ASK)
    assert in_fork(callback) == 0
    assert in_fork(supervised.worker.handle_messages) == 0
    assert client.unread == ASK
    supervised.turn()
    assert client.response().status == 200


def test_a_fork_of_the_action_has_none_of_our_descriptors(supervised: Supervised) -> None:
    connection = supervised.connection(supervised.client())

    def check() -> None:
        if connection.socket.fileno() == supervised.connections.channel.fileno() == -1:
            os._exit(0)

    assert in_fork(check) == 0


def test_a_fork_that_returns_from_the_handler_answers_nothing(supervised: Supervised) -> None:
    children = []

    def fork(_: object) -> dict[str, bool]:
        children.append(os.fork())
        return {"child": not children[-1]}

    supervised.serve(fork)
    client = supervised.client(ASK)
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
    assert client.response().json() == {"child": False}
    assert not client.answered
