"""Scripted histories: a version on probation, and the workers that are kept for it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from hotwhisk.config.option import ProbationLimit
from hotwhisk.ipc.counters import Counts
from hotwhisk.ipc.messages import Restore
from hotwhisk.ipc.scoreboard import Phase
from hotwhisk.ipc.worker_counters import RAN, WorkerCounters
from hotwhisk.openwhisk.answers import Cause
from hotwhisk.server import server_metrics
from hotwhisk.server.status import status
from hotwhisk.supervisor.commands import Recovery
from hotwhisk.supervisor.generation import Policy
from hotwhisk.supervisor.probation import ProbationState
from hotwhisk.supervisor.workers import State
from tests.unit.supervisor.scripted import Scripted
from tests.unit.supervisor.test_comparison import counts
from tests.unit.supervisor.test_rollout import Server

LIMIT = ProbationLimit(seconds=60.0)
GOOD, BAD = counts(1000), counts(50, failed=50)
Script = Callable[..., Scripted]


def server(*, keep: bool = False, limit: ProbationLimit | None = LIMIT, workers: int = 1) -> Server:
    made = Server(policy=Policy(workers, probation=limit, keep_previous=keep))
    made.serve("A")
    return made


def judge(server: Server, after: Counts = BAD, now: float = 0.0) -> list[str]:
    """Judge the current version by these counts; return what is done."""
    server.rollout.judge_probation(now, after, GOOD)
    return server.did()


def state(server: Server) -> ProbationState:
    return server.rollout.probation.state


# -- when there is a probation


def test_without_the_option_there_is_none() -> None:
    made = server(limit=None)
    made.serve("B")
    assert state(made) is ProbationState.NONE
    assert judge(made) == []


def test_the_first_version_has_none() -> None:
    made = server()
    assert state(made) is ProbationState.NONE
    assert judge(made) == []


def test_a_worse_version_is_rolled_back_and_what_comes_back_has_no_probation() -> None:
    made = server()
    made.serve("B")
    spare = made.spare
    line, load = judge(made)
    assert line == (
        "Log generation 2 fails its probation: 50 of 100 requests failed, 0 of 1000 before; "
        "rolling back to generation 1"
    )
    assert load == f"Load {spare} 3 A"
    assert state(made) is ProbationState.FAILED
    assert judge(made) == []
    made.ready(spare)
    assert made.rollout.current.number == 3
    assert state(made) is ProbationState.FAILED
    assert judge(made) == []
    assert made.rollout.probation.failures == 1


def test_a_roll_back_by_hand_ends_it() -> None:
    made = server()
    made.serve("B")
    spare = made.spare
    made.rollout.roll_back()
    made.did()
    made.ready(spare)
    assert state(made) is ProbationState.ENDED


def test_a_replacement_ends_it_and_begins_its_own() -> None:
    made = server()
    made.serve("B")
    made.serve("C")
    probation = made.rollout.probation
    assert (probation.before.number, probation.current.number) == (2, 3)
    assert state(made) is ProbationState.RUNNING
    assert judge(made)[-1].endswith(" 4 B")


def test_it_is_passed_after_so_many_seconds() -> None:
    made = server()
    made.serve("B")
    assert judge(made, GOOD, 100.0) == []
    assert judge(made, GOOD, 159.9) == []
    (line,) = judge(made, GOOD, 160.0)
    assert line.startswith(
        "Log generation 2 has passed its probation: 1000 requests, 0 failed, p95"
    )
    assert state(made) is ProbationState.PASSED
    assert judge(made) == []


def test_it_is_passed_after_so_many_requests_whenever_they_come() -> None:
    made = server(limit=ProbationLimit(requests=500))
    made.serve("B")
    assert judge(made, counts(499), 1e6) == []
    assert len(judge(made, counts(500), 1e6)) == 1
    assert state(made) is ProbationState.PASSED


def test_what_came_before_the_last_look_is_judged_although_the_time_is_over() -> None:
    made = server()
    made.serve("B")
    judge(made, Counts(), 0.0)
    assert len(judge(made, BAD, 1000.0)) == 2
    assert state(made) is ProbationState.FAILED


def test_a_stopping_server_rolls_nothing_back() -> None:
    made = server()
    made.serve("B")
    made.rollout.stop()
    made.did()
    assert state(made) is ProbationState.ENDED
    assert judge(made) == []


def test_a_version_that_loads_comes_before_the_roll_back() -> None:
    made = server(keep=True)
    made.serve("B")
    loading = made.spare
    made.post("C")
    assert len(judge(made)) == 1
    assert "SendAnswer A 409" in made.ready(loading)
    assert made.rollout.current.number == 3


def test_if_that_version_does_not_load_the_roll_back_follows() -> None:
    made = server(keep=True)
    made.serve("B")
    loading = made.spare
    made.post("C")
    judge(made)
    made.rollout.failed(loading, 502, "no handler")
    assert "Restore 0 4 digest" in made.did()
    assert made.rollout.current.number == 4


def test_a_roll_back_that_loads_is_waited_for() -> None:
    made = server()
    made.serve("B")
    loading = made.spare
    made.rollout.roll_back()
    made.did()
    assert judge(made) == []
    made.rollout.failed(loading, 502, "no handler")
    made.did()
    assert state(made) is ProbationState.RUNNING
    assert judge(made)[-1].endswith(" 4 A")


# -- deaths


@pytest.mark.parametrize(("of_request", "counted"), [(True, 1), (False, 0)])
def test_only_deaths_in_a_handler_are_counted(of_request: bool, counted: int) -> None:
    made = server()
    made.accept(1)
    made.die(0, (1, Recovery.FAIL if of_request else Recovery.KEEP))
    assert made.rollout.current.deaths == counted


def test_a_worker_that_dies_in_its_only_run_is_counted_and_one_past_its_deadline_is_not() -> None:
    made = Server(policy=Policy(single_run=True, most_workers=4, probation=LIMIT))
    made.serve("A")
    made.accept(1)
    made.touched.add(1)
    made.rollout.run_begun(0, [])
    made.did()
    assert made.state(0) is State.DRAINING
    made.die(0, (1, Recovery.FAIL))
    assert made.rollout.current.deaths == 1
    (slot,) = made.rollout.workers.in_generation(1, State.LOADING)
    made.ready(slot)
    made.accept(2)
    made.rollout.run_timed_out(slot, Cause.TIMED_OUT, "60 s")
    made.die(slot, (2, Recovery.FAIL))
    assert made.rollout.current.deaths == 1


def test_the_second_death_in_a_handler_rolls_the_version_back() -> None:
    made = server()
    made.serve("B")
    made.accept(1)
    for number in (1, 2):
        made.accept(number + 1)
        (slot,) = made.rollout.workers.serving
        made.die(slot, (next(iter(made.owners.owned(slot))), Recovery.FAIL))
        made.ready(made.rollout.workers.in_generation(2, State.LOADING)[0])
        done = judge(made, counts(30, died=number))
        assert bool(done) is (number == 2)
    assert "2 workers died in a handler" in done[0]


# -- kept workers


def test_kept_workers_serve_again_without_a_load() -> None:
    made = server(keep=True)
    assert made.accept(1, 2) == ["Assign 0 (1, 2)"]
    made.post("B", 1)
    assert made.ready(1)[0] == "Recall 0 keep"
    assert made.state(0) is State.KEPT
    assert made.owners.owned(1) == {1, 2}
    done = judge(made)[1:]
    assert done == [
        "Restore 0 3 digest", "Recall 1 leave", "Log generation 3 is current (digest…)",
        "SendAnswer A 200", "Assign 0 (1, 2)",
    ]  # fmt: skip
    assert made.state(0) is State.SERVING
    assert made.state(1) is State.DRAINING
    assert made.accept(3) == ["Assign 0 (3,)"]


def test_a_roll_back_by_hand_uses_them_too() -> None:
    made = server(keep=True)
    made.serve("B")
    assert made.rollout.roll_back()
    assert "Restore 0 3 digest" in made.did()


def test_a_roll_back_to_an_earlier_number_of_the_same_version_uses_them_too() -> None:
    made = server(keep=True)
    made.serve("B")
    judge(made)
    made.serve("C")
    assert made.rollout.roll_back(to=1)
    assert "Restore 0 5 digest" in made.did()


def test_one_that_runs_is_kept_until_its_answer_and_then_waits() -> None:
    made = server(keep=True)
    made.accept(1, 2)
    made.touched.add(1)
    made.serve("B")
    assert made.owners.owned(0) == {1}
    assert made.release(0, 1, recalled=False) == ["Assign 1 (1,)"]
    assert made.state(0) is State.KEPT


def test_one_that_still_runs_at_the_roll_back_drains_and_the_version_is_loaded() -> None:
    made = server(keep=True)
    made.accept(1)
    made.touched.add(1)
    made.serve("B")
    spare = made.spare
    assert judge(made)[1:] == ["Recall 0 leave", f"Load {spare} 3 A"]
    assert made.state(0) is State.DRAINING


def test_of_several_those_without_a_connection_serve_and_the_others_drain() -> None:
    made = server(keep=True, workers=2)
    first, second = 0, made.rollout.workers.in_generation(1, State.LOADING)[0]
    made.ready(second)
    made.accept(1, 2)
    made.touched.add(1)
    made.post("B")
    third = made.rollout.workers.in_generation(2, State.LOADING)[0]
    made.ready(third)
    holder = made.owners.owner(1)
    other = {first: second, second: first}[holder or 0]
    done = judge(made)
    assert f"Restore {other} 3 digest" in done
    assert f"Recall {holder} leave" in done
    assert [each for each in done if each.endswith(" 3 A")], "one more worker is loaded"


def test_one_that_was_stuck_is_kept_too() -> None:
    made = server(keep=True)
    made.accept(1)
    made.touched.add(1)
    made.rollout.stuck(0)
    made.did()
    made.serve("B")
    assert made.state(0) is State.KEPT
    made.release(0, 1, recalled=False)
    assert made.state(0) is State.KEPT
    assert "Restore 0 3 digest" in judge(made)


@pytest.mark.parametrize("how", ["passed", "replaced", "stopped"])
def test_they_exit_when_the_probation_is_over(how: str) -> None:
    made = server(keep=True)
    made.serve("B")
    if how == "passed":
        judge(made, GOOD, 0.0)
        done = judge(made, GOOD, 60.0)
    elif how == "stopped":
        made.rollout.stop()
        done = made.did()
    else:
        slot = made.spare
        made.post("C")
        done = made.ready(slot)
    assert "Recall 0 leave" in done
    assert made.state(0) is State.DRAINING
    assert made.die(0) == ["RemoveFolder 1"]


def test_if_they_have_died_the_version_is_loaded() -> None:
    made = server(keep=True)
    made.serve("B")
    assert made.die(0) == ["RemoveFolder 1"]
    assert judge(made)[-1] == f"Load {made.rollout.workers.in_generation(3)[0]} 3 A"


def test_the_folder_of_a_restored_worker_stays_as_long_as_it_lives() -> None:
    made = server(keep=True)
    made.serve("B")
    judge(made)
    assert made.die(1) == ["RemoveFolder 2"]
    further = made.spare
    assert made.die(0) == [f"Load {further} 3 A", "RemoveFolder 1"]


def test_a_restored_worker_that_crashes_is_replaced() -> None:
    made = server(keep=True)
    made.serve("B")
    judge(made)
    made.die(0)
    further = made.rollout.workers.in_generation(3, State.LOADING)
    made.ready(*further)
    assert made.rollout.workers.serving == further


# -- with a supervisor: what is counted, shown and sent


def answer(scripted: Scripted, slot: int, results: int = 0, errors: int = 0) -> None:
    """Count answers as a worker does."""
    counters = WorkerCounters(scripted.scoreboard, slot)
    counters.count_for_action()
    for failed in (*(results * [False]), *(errors * [True])):
        counters.seconds, counters.ran = 0.001, RAN[failed]
        counters.respond(0, 0, 10)
    scripted.scoreboard.set_phase(0, Phase.IDLE)


def requests(scripted: Scripted) -> dict[object, object]:
    rows = status(scripted.supervisor.parts)["counts"]
    assert isinstance(rows, list)
    return {row["generation"]: row["requests"] for row in rows}


def test_the_watchdog_compares_and_a_kept_worker_counts_from_zero(script: Script) -> None:
    scripted = script(probation=LIMIT, keep_previous=True)
    first = scripted.serve()
    answer(scripted, first, results=200)
    second = scripted.serve()
    scripted.tick()
    answer(scripted, second, results=20, errors=20)
    scripted.messages(first)
    scripted.tick()
    assert [each for each in scripted.logged if "fails its probation: 20 of 40" in each]
    assert scripted.supervisor.rollout.current.number == 3
    assert Restore(3, "sha256:0") in scripted.messages(first)
    assert requests(scripted) == {3: 0, 2: 40, 1: 200}
    answer(scripted, first, results=5)
    assert requests(scripted) == {3: 5, 2: 40, 1: 200}


def test_the_status_has_the_figures_of_both(script: Script) -> None:
    scripted = script(probation=LIMIT)
    parts = scripted.supervisor.parts
    answer(scripted, scripted.serve(), results=30)
    assert status(parts)["probation"] is None
    answer(scripted, scripted.serve(), results=7, errors=1)
    scripted.tick()
    shown = json.loads(json.dumps(status(parts)))["probation"]
    assert shown["until"] - shown["since"] == pytest.approx(60.0)
    rows = [(each["generation"], each["requests"], each["failed"]) for each in shown["versions"]]
    assert rows == [(2, 8, 1), (1, 30, 0)]
    assert (shown["state"], shown["requests"], shown["fault"]) == ("running", None, "")
    metrics = {family.name: family.samples for family in server_metrics.collect(parts)}
    assert [value for *_, value in metrics["hotwhisk_failed_probations"]] == [0]


@pytest.mark.parametrize("keep", [False, True])
def test_a_quiet_server_sleeps_unless_workers_are_kept_for_a_time(
    script: Script, keep: bool
) -> None:
    scripted = script(probation=LIMIT, keep_previous=keep)
    first = scripted.serve()
    scripted.serve()
    if not keep:
        scripted.die(first)
    for _ in range(20):
        scripted.tick()
    assert scripted.scoreboard.timer_on_here is keep
    if keep:
        for _ in range(240):
            scripted.tick()
        assert scripted.workers[first].state is State.DRAINING
        scripted.die(first)
        for _ in range(20):
            scripted.tick()
        assert not scripted.scoreboard.timer_on_here
