"""When requests wait behind the runs of others: who takes them, and which workers start and go."""

from __future__ import annotations

from collections.abc import Callable, Collection

import pytest

from hotwhisk.config.option import Bounds
from hotwhisk.ipc.messages import Load, Ready
from hotwhisk.ipc.scoreboard import Phase
from hotwhisk.supervisor.demand import EARLY_TICK, IDLE_LIMIT
from hotwhisk.supervisor.workers import State
from tests.unit.supervisor.scripted import Scripted

DIGEST = "sha256:" + "0" * 64


class Crowd:
    """A server whose first worker runs a request, while others wait."""

    def __init__(self, scripted: Scripted, *, overlap: bool = False) -> None:
        self.scripted = scripted
        self.first = scripted.serve(overlap=overlap)

    def ask(self, requests: int = 1) -> list[int]:
        """Send requests on connections of their own; return the connections' numbers."""
        numbers = [self.scripted.connect() for _ in range(requests)]
        for number in numbers:
            self.scripted.clients[number].send(b"POST")
        return numbers

    def run(self, number: int) -> None:
        """Let a connection's worker read its request, and call the handler."""
        scripted = self.scripted
        scripted.read(number)
        self._claim(number, number + 1)
        scripted.scoreboard.set_running(number, scripted.system.clock, float("inf"), 0)

    def answer(self, number: int) -> None:
        """Let the handler return, which `run` called."""
        self.scripted.scoreboard.set_phase(number, Phase.IDLE)
        self._claim(number, 0)

    def _claim(self, number: int, word: int) -> None:
        owner = self.scripted.owners.owner(number)
        assert owner is not None
        self.scripted.scoreboard.words[self.scripted.scoreboard.claim_word(owner)] = word

    def tick(self, ticks: int = 2) -> None:
        for _ in range(ticks):
            self.scripted.tick(EARLY_TICK)

    def slots(self, state: State) -> list[int]:
        return [each.slot for each in self.scripted.workers.by_slot.values() if each.state is state]

    def load(self) -> list[int]:
        """Let every worker that loads be ready; return their slots."""
        loading = self.slots(State.LOADING)
        for slot in loading:
            assert Load in map(type, self.scripted.messages(slot))
            self.scripted.send(slot, Ready(DIGEST))
            self.scripted.supervisor.run_commands()
        return loading


@pytest.fixture
def crowd(script: Callable[..., Scripted]) -> Crowd:
    return Crowd(script(workers=Bounds(1, 3)))


def test_for_a_request_behind_a_run_a_worker_starts_and_gets_it(crowd: Crowd) -> None:
    running, waiting = crowd.ask(2)
    crowd.run(running)
    crowd.tick(1)
    assert not crowd.slots(State.LOADING), "it may be read in a moment"
    assert crowd.scripted.watchdog.interval() == EARLY_TICK
    crowd.tick(1)
    (further,) = crowd.load()
    assert crowd.scripted.owners.owner(waiting) == further
    assert crowd.scripted.owners.owner(running) == crowd.first


def test_as_many_workers_start_as_requests_wait_up_to_the_most(crowd: Crowd) -> None:
    running, *waiting = crowd.ask(6)
    crowd.run(running)
    crowd.tick()
    assert len(crowd.load()) == 2
    crowd.tick(4)
    assert not crowd.slots(State.LOADING)
    owner = crowd.scripted.owners.owner
    assert {owner(number) for number in waiting} == {*crowd.slots(State.SERVING)}


def test_no_worker_starts_for_connections_without_a_request(crowd: Crowd) -> None:
    (running,) = crowd.ask()
    crowd.run(running)
    idle, gone = crowd.scripted.connect(), crowd.scripted.connect()
    crowd.scripted.clients[gone].close()
    crowd.tick(4)
    assert not crowd.slots(State.LOADING)
    assert crowd.scripted.owners.owner(idle) == crowd.first


def test_no_worker_starts_where_the_worker_reads_between_the_ticks(crowd: Crowd) -> None:
    for number in 3 * crowd.ask(2):
        crowd.run(number)
        crowd.tick(1)
        crowd.answer(number)
        crowd.scripted.clients[number].send(b"POST")
    assert not crowd.slots(State.LOADING)


def test_where_runs_overlap_no_further_worker_is_needed(script: Callable[..., Scripted]) -> None:
    crowd = Crowd(script(workers=Bounds(1, 3)), overlap=True)
    running, _ = crowd.ask(2)
    crowd.run(running)
    crowd.tick(4)
    assert not crowd.slots(State.LOADING)


def test_no_more_workers_start_than_there_is_memory_for(crowd: Crowd) -> None:
    running, *_ = crowd.ask(4)
    crowd.run(running)
    crowd.scripted.system.room = 0
    crowd.tick(4)
    assert not crowd.slots(State.LOADING)
    assert crowd.scripted.watchdog.interval() > EARLY_TICK
    crowd.scripted.system.room = 1
    crowd.tick()
    assert len(crowd.slots(State.LOADING)) == 1


def test_a_request_behind_a_run_goes_to_a_worker_that_is_idle(
    script: Callable[..., Scripted],
) -> None:
    crowd = Crowd(script(workers=Bounds(2, 2)))
    (other,) = crowd.load()
    numbers = crowd.ask(4)
    running, waiting = (each for each in numbers if crowd.scripted.owners.owner(each) == other)
    crowd.run(running)
    for number in set(numbers) - {running, waiting}:  # the first worker has answered all
        crowd.scripted.read(number)
    crowd.tick()
    assert crowd.scripted.owners.owner(waiting) == crowd.first
    assert crowd.scripted.owners.owner(running) == other


def test_a_further_worker_that_is_idle_for_long_exits_and_its_connections_stay(
    crowd: Crowd,
) -> None:
    running, waiting = crowd.ask(2)
    crowd.run(running)
    crowd.tick()
    (further,) = crowd.load()
    crowd.run(waiting)
    crowd.answer(running)
    crowd.answer(waiting)
    crowd.tick(8)
    assert crowd.scripted.scoreboard.timer_on, "the timer is off"
    assert crowd.slots(State.SERVING) == [crowd.first, further]
    crowd.scripted.tick(IDLE_LIMIT)
    assert crowd.slots(State.DRAINING) == [further]
    assert crowd.scripted.owners.owner(waiting) == crowd.first
    crowd.scripted.die(further)
    assert not crowd.scripted.supervisor.parts.stats.deaths
    for _ in range(30):
        crowd.scripted.tick()
    assert crowd.slots(State.SERVING) == [crowd.first]
    assert not crowd.scripted.scoreboard.timer_on


def test_a_worker_that_runs_something_now_and_then_stays(crowd: Crowd) -> None:
    running, waiting = crowd.ask(2)
    crowd.run(running)
    crowd.tick()
    (further,) = crowd.load()
    crowd.answer(running)
    crowd.scripted.read(waiting)
    for _ in range(3):
        crowd.scripted.clients[waiting].send(b"POST")
        crowd.run(waiting)
        crowd.tick(1)
        crowd.answer(waiting)
        crowd.scripted.tick(IDLE_LIMIT - 0.01)
    assert further in crowd.slots(State.SERVING)


def test_memory_is_not_looked_at_while_enough_of_them_load(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, _ = crowd.ask(2)
    crowd.run(running)
    crowd.tick()
    assert len(crowd.slots(State.LOADING)) == 1
    asked: list[Collection[int]] = []
    monkeypatch.setattr(crowd.scripted.system, "room_for", asked.append)
    crowd.tick(5)
    assert not asked
