"""What a worker does for each message of the supervisor."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from hotwhisk.ipc.counters import REFUSED_BEFORE
from hotwhisk.ipc.messages import (
    EndLog,
    FolderRemoved,
    LogEnded,
    Ping,
    Pong,
    ProtocolError,
    Recall,
    Released,
    RemoveFolder,
    SendError,
    SpillCreated,
    Stop,
)
from hotwhisk.ipc.scoreboard import Phase
from hotwhisk.openwhisk.sentinels import BOTH
from hotwhisk.system.output import SENTINEL
from hotwhisk.worker.connection import Stage
from hotwhisk.worker.spill import RESERVE, make_file
from tests.support.wire import run_request
from tests.unit.worker.supervised import SLOT, Client, Supervised

ASK = run_request({"name": "Mike"})


def test_a_ping_is_answered(supervised: Supervised) -> None:
    supervised.send(Ping())
    assert supervised.messages() == [Pong()]


def test_a_message_that_a_worker_does_not_get_is_an_error(supervised: Supervised) -> None:
    with pytest.raises(ProtocolError, match="the supervisor sends no pong"):
        supervised.send(Pong())


def test_assign_serves_the_new_connections_before_the_next_message(
    supervised: Supervised,
) -> None:
    client = supervised.connect()
    client.send(ASK)
    for message in (Ping(), Ping()):
        supervised.channel.send(message)
    supervised.assign(client)
    supervised.channel.send(Ping())
    assert client.response().status == 200
    assert supervised.messages() == [Pong(), Pong()]
    supervised.worker.handle_messages()
    assert supervised.messages() == [Pong()]


# -- errors on behalf of another worker -------------------------------------------------------


def send_error(supervised: Supervised, client: Client, text: str, *, last: bool) -> None:
    message = SendError(client.number, 9, 502, text, last, 0, "6")
    supervised.send(message, client.server.fileno())


def test_an_error_is_sent_and_the_connection_released(
    supervise: Callable[..., Supervised],
) -> None:
    spare = supervise()
    client = spare.connect()
    send_error(spare, client, "it died", last=False)
    response = client.response()
    assert (response.status, response.error, response.generation) == (502, "it died", 6)
    assert not response.closes
    assert spare.messages() == [Released([[client.number, 9]])]
    assert spare.phase(client) is Phase.IDLE


def test_the_last_error_of_a_connection_ends_it(supervise: Callable[..., Supervised]) -> None:
    spare = supervise()
    client = spare.connect()
    send_error(spare, client, "it died", last=True)
    assert client.response().closes
    assert client.ended
    assert spare.phase(client) is Phase.LINGERING
    assert spare.messages() == []


@pytest.mark.parametrize("last", [False, True])
def test_an_error_for_a_client_that_has_gone_leaves_the_next_answer_counted(
    supervise: Callable[..., Supervised], last: bool
) -> None:
    spare = supervise()
    client = spare.connect()
    client.socket.close()
    client.server.shutdown(socket.SHUT_RDWR)
    send_error(spare, client, "it died", last=last)
    assert spare.phase(client) is Phase.CLOSED
    words = spare.scoreboard.counters.block(SLOT)
    assert words[REFUSED_BEFORE] == 0
    assert spare.client(b"no request\r\n\r\n").response().status == 400
    assert words[REFUSED_BEFORE] == 1


def test_an_error_for_a_slow_client_stays_at_a_recall(supervise: Callable[..., Supervised]) -> None:
    spare = supervise()
    client = spare.connect()
    fill(client)
    send_error(spare, client, "it died", last=False)
    spare.recall()
    spare.send(Recall())
    assert spare.messages() == [Released([], recalled=True)]
    assert spare.connection(client).stage is Stage.WRITING


def fill(client: Client) -> None:
    """Fill the buffers of a connection, so that nothing more can be written to it."""
    client.server.setblocking(False)
    while True:
        try:
            client.server.send(bytes(1 << 20))
        except BlockingIOError:
            return


def test_an_error_ends_the_log_of_the_activation_where_that_is_missing(
    supervise: Callable[..., Supervised], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    spare = supervise(openwhisk=True)
    client = spare.connect()
    spare.send(SendError(client.number, 9, 502, "", True, 2, "6"), client.server.fileno())
    assert spare.scoreboard.row(client.number).ended == BOTH
    assert tuple(capfdbinary.readouterr()) == (b"", SENTINEL)


# -- stop -------------------------------------------------------------------------------------


def test_stop_closes_a_connection_between_two_requests(supervised: Supervised) -> None:
    client = supervised.client(ASK)
    assert client.response().status == 200
    supervised.send(Stop())
    assert client.ended
    assert supervised.phase(client) is Phase.CLOSED


def test_stop_waits_for_the_first_request_of_a_connection(supervised: Supervised) -> None:
    client = supervised.client()
    supervised.send(Stop())
    assert not client.answered
    client.send(ASK)
    supervised.turn()
    assert client.response().closes
    assert client.ended


def test_stop_waits_for_the_rest_of_a_request(supervised: Supervised) -> None:
    client = supervised.client(ASK + ASK[:20])
    assert client.response().status == 200
    supervised.send(Stop())
    assert not client.answered
    client.send(ASK[20:])
    supervised.turn()
    assert client.response().closes


def test_stop_answers_what_has_arrived_and_closes(supervised: Supervised) -> None:
    client = supervised.client(ASK)
    assert client.response().status == 200
    client.send(ASK)
    supervised.send(Stop())
    assert client.response().closes
    assert client.ended


# -- logs, folders, memory files --------------------------------------------------------------


def test_the_log_of_a_failed_load_is_ended(
    supervise: Callable[..., Supervised], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    spare = supervise(openwhisk=True)
    spare.send(EndLog("it died\n"))
    assert spare.messages() == [LogEnded()]
    assert tuple(capfdbinary.readouterr()) == (SENTINEL, b"it died\n" + SENTINEL)


def test_a_folder_is_removed(supervised: Supervised, tmp_path: Path) -> None:
    (tmp_path / "4/below").mkdir(parents=True)
    supervised.send(RemoveFolder(4, f"{tmp_path}/4"))
    assert supervised.messages() == [FolderRemoved(4, rest=False)]
    assert not (tmp_path / "4").exists()


def test_the_reserve_is_kept_for_a_time_without_other_files(supervised: Supervised) -> None:
    descriptor = make_file(RESERVE)
    supervised.send(SpillCreated(77), descriptor)
    os.close(descriptor)
    assert supervised.connections.spills._take_reserve(10).number == 77


def test_streams_that_the_action_closed_are_opened_again_before_a_descriptor_comes(
    supervised: Supervised,
) -> None:
    client = supervised.connect()
    client.send(ASK)
    before = os.fstat(1)
    os.close(1)
    supervised.assign(client)
    assert client.response().status == 200
    assert os.fstat(1) == before
