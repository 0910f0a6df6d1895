"""A worker that is recalled with ``keep`` stays, and serves again under another number."""

from __future__ import annotations

import pytest

from hotwhisk.ipc.counters import Counts
from hotwhisk.ipc.messages import Recall, Released, Restore
from hotwhisk.worker import serving
from hotwhisk.worker.own_process import exit_gracefully
from tests.support.wire import run_request
from tests.unit.worker.supervised import SLOT, Client, Supervised
from tests.unit.worker.test_connections import AGAIN, ASK, LARGE, read_slowly

DIGEST = "sha256:" + "ab" * 32


@pytest.fixture
def kept(supervised: Supervised) -> Supervised:
    """Return a worker that has answered once, and was recalled with ``keep``."""
    serving.begin(supervised.connections, 7, DIGEST)
    client = supervised.client(ASK)
    assert client.response().generation == 7
    recall(supervised)
    assert supervised.messages() == [Released([[client.number, 1]], recalled=True)]
    return supervised


def recall(supervised: Supervised, *, keep: bool = True) -> None:
    supervised.recall()
    supervised.send(Recall(drain=True, keep=keep))


def counted(supervised: Supervised) -> int:
    counts, before = Counts.of_block(supervised.scoreboard.counters.block(SLOT))
    assert before == 0
    return sum(counts.by_kind().values())


def test_it_serves_again_under_another_number_and_counts_from_zero(kept: Supervised) -> None:
    assert counted(kept) == 1
    kept.scoreboard.counters.clear(SLOT)  # as the supervisor does
    kept.send(Restore(9, DIGEST))
    client = kept.client(run_request({"name": "Mike"}))
    response = client.response()
    assert response.headers["hotwhisk-generation"] == f"9 {DIGEST}"
    assert response.json() == {"name": "Mike"}
    client.send(AGAIN)
    kept.turn_until(lambda: client.answered)
    assert client.response().generation == 9
    assert counted(kept) == 2
    assert kept.connections.exit is exit_gracefully


def test_it_can_be_kept_once_more(kept: Supervised) -> None:
    kept.send(Restore(9, DIGEST))
    recall(kept)
    kept.send(Restore(11, DIGEST))
    assert kept.client(ASK).response().generation == 11


def test_what_it_runs_is_answered_and_released_and_then_it_waits(supervised: Supervised) -> None:
    client = busy(supervised)
    recall(supervised)
    client.send(AGAIN)
    assert len(read_slowly(supervised, client)) > len(LARGE)
    assert supervised.messages()[-1] == Released([[client.number, 1]])
    assert client.unread == AGAIN
    assert not supervised.connections.by_number


def test_a_further_recall_without_keep_has_it_exit(supervised: Supervised) -> None:
    busy(supervised)
    recall(supervised)
    assert supervised.connections.exit is not exit_gracefully
    recall(supervised, keep=False)
    assert supervised.connections.draining
    assert supervised.connections.exit is exit_gracefully


def busy(supervised: Supervised) -> Client:
    """Return a client that has not read a large answer."""
    supervised.serve(lambda _: {"text": LARGE})
    return supervised.client(ASK)
