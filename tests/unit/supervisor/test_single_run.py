"""Workers that serve one run only: which stand ready, and where connections wait."""

from __future__ import annotations

import pytest

from hotwhisk.openwhisk.answers import Cause
from hotwhisk.supervisor.commands import Recovery
from hotwhisk.supervisor.generation import Policy
from hotwhisk.supervisor.workers import State
from tests.unit.supervisor.test_rollout import Server


class Fresh(Server):
    """A server whose workers serve one run each; a template forks them."""

    def __init__(self, least: int = 2, most: int = 4) -> None:
        super().__init__(policy=Policy(least, 3, most_workers=most, single_run=True))
        first = self.spare
        self.post("A")
        self.rollout.template_ready(1)
        self.ready(first)
        self.make_ready()

    def made(self) -> list[int]:
        """Return the workers that load."""
        return self.rollout.workers.in_generation(1, State.LOADING)

    def make_ready(self) -> None:
        """Let the workers that load be ready."""
        for slot in self.made():
            self.ready(slot)

    @property
    def serving(self) -> list[int]:
        return list(self.rollout.workers.serving)

    def begin(self, slot: int, number: int, *others: int) -> list[str]:
        """Begin the run of a worker; it releases the others."""
        self.touched.add(number)
        self.rollout.run_begun(slot, [(each, each in self.parked) for each in others])
        return self.did()

    def end(self, slot: int, number: int) -> list[str]:
        """End the run of a worker, which then exits."""
        done = self.release(slot, number, recalled=False)
        return done + self.die(slot)


@pytest.fixture
def server() -> Fresh:
    return Fresh()


def test_the_least_number_stands_ready(server: Fresh) -> None:
    assert len(server.serving) == 2
    assert not server.made()


def test_when_a_run_begins_another_worker_is_forked(server: Fresh) -> None:
    first, second = server.serving
    server.accept(1)
    assert server.owners.owner(1) == first
    (spawn,) = server.begin(first, 1)
    assert spawn.startswith("Spawn")
    assert server.state(first) is State.DRAINING
    assert server.serving == [second]


def test_after_its_answer_a_connection_goes_to_the_next_worker(server: Fresh) -> None:
    first, second = server.serving
    server.accept(1)
    server.begin(first, 1)
    assert server.end(first, 1) == [f"Assign {second} (1,)"]


def test_there_are_never_more_than_the_most(server: Fresh) -> None:
    for number in range(4):
        server.accept(number)
        owner = server.owners.owner(number)
        assert owner is not None
        server.begin(owner, number)
        server.make_ready()
        assert len(server.rollout.workers.in_generation(1)) <= 4
    server.accept(9)
    assert not server.serving
    assert server.owners.owner(9) is None
    slot = server.rollout.workers.in_generation(1)[0]
    (number,) = server.owners.owned(slot)
    done = server.end(slot, number)
    assert any(each.startswith("Spawn") for each in done)
    (ready,) = server.made()
    assert server.ready(ready)[0].startswith(f"Assign {ready} (9,")


def test_the_worker_that_ends_its_run_is_no_crash_and_its_folder_stays(server: Fresh) -> None:
    for number in range(20):
        server.accept(number)
        owner = server.owners.owner(number)
        assert owner is not None
        server.begin(owner, number)
        server.make_ready()
        server.touched.discard(number)
        server.owners.remove(number)
        assert server.die(owner) == []
    assert not server.rollout.current.crashes


def test_with_one_worker_in_all_the_next_is_forked_when_it_has_exited() -> None:
    server = Fresh(1, 1)
    (only,) = server.serving
    server.accept(1)
    assert server.begin(only, 1) == []
    (spawn,) = server.end(only, 1)
    assert spawn.startswith("Spawn")
    (following,) = server.made()
    assert server.ready(following) == [f"Assign {following} (1,)"]


def test_what_a_worker_got_while_it_began_is_recalled(server: Fresh) -> None:
    first, second = server.serving
    server.accept(1, 2, 3)
    assert server.owners.owned(first) == {1, 3}
    done = server.begin(first, 1)
    assert f"Recall {first}" in done
    assert server.owners.owner(3) == server.spare
    assert server.owners.owned(second) == {2}


def test_what_it_released_goes_to_a_worker_without_connection_or_to_the_spare(
    server: Fresh,
) -> None:
    first, second = server.serving
    server.accept(1, 2, 3)
    assert f"Assign {server.spare} (3,)" in server.begin(first, 1, 3)
    assert server.owners.owned(second) == {2}


def test_idle_connections_rest_with_the_spare(server: Fresh) -> None:
    server.accept(*range(50))
    assert server.owners.count(server.spare) == 46
    assert not server.owners.waiting
    first = server.serving[0]
    for number in (0, 2):
        assert server.owners.owner(number) == first
    server.begin(first, 0, 2)
    server.make_ready()
    assert server.owners.count(server.spare) == 47


def test_each_worker_gets_one_parked_request(server: Fresh) -> None:
    server.accept(*range(8))
    server.parked = {5, 6, 7}
    server.release(server.spare, 5, 6, 7, recalled=False)
    assert list(server.owners.parked) == [7]
    assert sorted(server.owners.owner(each) or 0 for each in (5, 6)) == server.serving
    server.rollout.dispatcher.assign_waiting()
    assert not server.owners.parked


def test_where_no_worker_serves_connections_wait_for_the_one_that_loads(server: Fresh) -> None:
    for number in (1, 2):
        server.accept(number)
    for slot, number in zip(server.serving, (1, 2), strict=True):
        server.begin(slot, number)
    assert server.accept(3) == []
    loading = server.made()[0]
    assert server.ready(loading) == [f"Assign {loading} (3,)"]


def test_a_replacement_takes_idle_workers_and_leaves_the_run(server: Fresh) -> None:
    first, second = server.serving
    server.accept(1, 2)
    server.begin(first, 1)
    loader = server.spare
    server.post("B")
    done = server.ready(loader)
    assert f"Recall {second} leave" in done
    assert done.index(f"Recall {second} leave") < done.index("SendAnswer B 200")
    assert server.state(first) is State.DRAINING
    assert server.owners.owner(2) == loader
    server.end(first, 1)
    assert server.rollout.current.number == 2


def test_a_death_in_the_run_is_answered_and_starts_no_further_worker(server: Fresh) -> None:
    first, _ = server.serving
    server.accept(1)
    server.begin(first, 1)
    assert server.die(first, (1, Recovery.FAIL)) == [f"SendError {server.spare} 1 {Cause.KILLED}"]
    assert not server.rollout.current.crashes


def test_a_run_past_its_deadline_is_killed(server: Fresh) -> None:
    first, _ = server.serving
    server.accept(1)
    server.begin(first, 1)
    server.rollout.run_timed_out(first, Cause.TIMED_OUT, "1 s")
    assert server.did() == [f"Kill {first}"]


def test_a_death_of_one_that_stands_ready_counts_as_a_crash(server: Fresh) -> None:
    first, _ = server.serving
    (spawn,) = server.die(first)
    assert spawn.startswith("Spawn")
    assert len(server.rollout.current.crashes) == 1


def test_without_its_template_a_worker_is_loaded_and_may_leave_another(server: Fresh) -> None:
    template = server.rollout.workers.templates[1]
    server.rollout.template_exited(template, [])
    server.accept(1)
    done = server.begin(server.serving[0], 1)
    assert [each for each in done if each.startswith("Load")]
    assert server.rollout.workers.banned == 0
    assert server.rollout.template_ready(1) is not None


def test_a_worker_that_fails_to_load_ends_the_template_and_bans_none(server: Fresh) -> None:
    server.accept(1)
    server.begin(server.serving[0], 1)
    (loading,) = server.made()
    server.rollout.failed(loading, 502, "no database")
    assert server.rollout.workers.banned == 0
    assert 1 not in server.rollout.workers.templates


def test_a_stop_goes_on_to_fork_workers_for_what_waits() -> None:
    server = Fresh(1, 2)
    (first,) = server.serving
    server.accept(1, 2)
    server.begin(first, 1, 2)
    server.rollout.stop()
    assert not [each for each in server.did() if each.startswith("Kill")]
    (second,) = server.made()
    assert f"Assign {second} (2,)" in server.ready(second)
    assert f"Assign {server.spare} (1,)" in server.end(first, 1)
    done = server.begin(second, 2)
    (third,) = server.made()
    assert f"Stop {third}" in done
    server.parked = {1}
    server.release(server.spare, 1, recalled=False)
    assert server.ready(third) == [f"Assign {third} (1,)"]


def test_a_stop_that_waits_no_longer_refuses_what_waits() -> None:
    server = Fresh(1, 1)
    (first,) = server.serving
    server.accept(1, 2)
    server.begin(first, 1, 2)
    server.rollout.stop()
    server.did()
    server.rollout.refuse_waiting()
    assert server.did() == [f"Assign {server.spare} (2,) stopping"]


def test_more_than_the_least_start_only_where_there_is_memory(server: Fresh) -> None:
    server.rollout.scaling.has_memory = False
    first, second = server.serving
    server.accept(1)
    assert server.begin(first, 1) == []
    server.rollout.scaling.has_memory = True
    server.accept(2)
    assert len([each for each in server.begin(second, 2) if each.startswith("Spawn")]) == 2
