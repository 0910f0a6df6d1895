"""How many workers a generation has, and how it gets more and fewer."""

from __future__ import annotations

import pytest

from hotwhisk.supervisor.generation import Policy
from hotwhisk.supervisor.scaling import LOADING_AT_ONCE
from hotwhisk.supervisor.workers import State
from tests.unit.supervisor.test_rollout import Server


@pytest.fixture
def server() -> Server:
    made = Server(policy=Policy(crash_count=3, most_workers=8))
    made.serve("A")
    return made


def grow(server: Server, needed: int) -> list[int]:
    """Let the generation grow; return the slots of the workers that load now."""
    server.rollout.scaling.grow(server.rollout.current, needed)
    server.did()
    return server.rollout.workers.in_generation(server.rollout.current.number, State.LOADING)


def test_workers_that_load_already_are_not_started_twice(server: Server) -> None:
    assert len(grow(server, 2)) == 2
    assert len(grow(server, 2)) == 2
    assert len(grow(server, 3)) == 3


def test_only_some_load_side_by_side_and_there_are_never_more_than_the_most(
    server: Server,
) -> None:
    for _ in range(5):
        loading = grow(server, 20)
        assert len(loading) <= LOADING_AT_ONCE
        for slot in loading:
            server.ready(slot)
    assert len(server.rollout.workers.serving) == 8
    assert not server.rollout.scaling.may_grow(server.rollout.current)


def test_a_further_worker_takes_what_waits_with_the_others(server: Server) -> None:
    server.accept(1, 2)
    server.touched.add(1)
    (further,) = grow(server, 1)
    assert server.ready(further) == ["Recall 0", f"Assign {further} (2,)"]


def test_connections_are_assigned_when_every_recall_is_carried_out(server: Server) -> None:
    """Otherwise a recall could take what a worker gets only after it, and two would read it."""
    further = grow(server, 2)
    for slot in further:
        server.ready(slot)
    server.accept(*range(9))
    (last,) = grow(server, 1)
    history = server.ready(last)
    recalls = [at for at, each in enumerate(history) if each.startswith("Recall")]
    assigns = [at for at, each in enumerate(history) if each.startswith("Assign")]
    assert len(recalls) == 3
    assert max(recalls) < min(assigns)


def test_a_released_worker_exits_and_its_connections_go_to_the_others(server: Server) -> None:
    (further,) = grow(server, 1)
    server.ready(further)
    server.accept(1, 2)
    (own,) = server.owners.owned(further)
    server.rollout.scaling.drain(further)
    assert server.did() == [f"Recall {further} leave", f"Assign 0 ({own},)"]
    assert server.state(further) is State.DRAINING
    assert server.die(further) == []
    assert server.rollout.workers.serving == [0]


def test_only_the_least_workers_are_started_again_and_for_a_new_version(server: Server) -> None:
    for slot in grow(server, 2):
        server.ready(slot)
    assert server.die(0) == []
    server.serve("B")
    current = server.rollout.current.number
    assert len(server.rollout.workers.in_generation(current)) == 1


def test_a_version_that_pauses_or_a_server_that_stops_does_not_grow(server: Server) -> None:
    (further,) = grow(server, 1)
    server.rollout.failed(further, 502, "the port is in use")
    server.did()
    server.die(further)
    assert grow(server, 1) == []
    server.rollout.end_pause(60.0)
    assert len(grow(server, 1)) == 1
    server.rollout.stop()
    assert len(grow(server, 2)) == 1


def test_without_an_action_nothing_grows() -> None:
    server = Server(policy=Policy(most_workers=8))
    assert not server.rollout.scaling.may_grow(server.rollout.current)
    assert grow(server, 3) == []
