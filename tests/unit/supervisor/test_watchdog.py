"""The watchdog's ticks, with a supervisor whose clock and processes are the test's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotwhisk.config.option import ProbationLimit
from hotwhisk.ipc.messages import Load, Ping, Pong, Recall, Released
from hotwhisk.ipc.scoreboard import Phase
from hotwhisk.supervisor.ages import TICK
from hotwhisk.supervisor.liveness import LOAD_LIMIT
from hotwhisk.supervisor.watchdog import CUT_LIMIT, FIRST_REQUEST_LIMIT, LEAVE_LIMIT
from hotwhisk.supervisor.workers import State
from tests.unit.supervisor.scripted import Scripted

Script = Callable[..., Scripted]


def begin_runs(scripted: Scripted, *numbers: int) -> None:
    for number in numbers:
        scripted.scoreboard.set_running(number, scripted.system.clock, float("inf"), 0)


def test_a_worker_with_overlapping_runs_is_asked_once_and_has_a_tick_to_answer(
    script: Script,
) -> None:
    scripted = script()
    worker = scripted.serve(overlap=True)
    begin_runs(scripted, scripted.connect(), scripted.connect(), scripted.connect())
    scripted.messages(worker)
    for _ in range(4):
        scripted.tick()
        assert scripted.messages(worker) == [Ping()]
        scripted.send(worker, Pong())
    assert scripted.workers[worker].state is State.SERVING


def test_a_worker_with_overlapping_runs_that_is_silent_for_a_tick_is_stuck(
    script: Script,
) -> None:
    scripted = script()
    worker = scripted.serve(overlap=True)
    begin_runs(scripted, scripted.connect(), scripted.connect())
    scripted.messages(worker)
    scripted.tick()
    assert scripted.messages(worker) == [Ping()]
    scripted.tick()
    assert scripted.messages(worker) == [Recall()]
    assert scripted.workers[worker].state is State.BUSY


def test_a_spare_that_is_to_load_and_to_answer_for_the_dead_has_time_for_both(
    script: Script,
) -> None:
    scripted = script()
    worker, number = scripted.serve(), scripted.connect()
    begin_runs(scripted, number)
    scripted.die(worker)
    loading = scripted.worker(State.LOADING)
    assert scripted.owners.owner(number) == loading
    for _ in range(3):
        scripted.tick()
    assert scripted.worker(State.LOADING) == loading
    assert scripted.owners.owner(number) == loading


def test_a_pause_in_a_quiet_server_ends(script: Script) -> None:
    scripted = script(crash_count=1)
    worker = scripted.serve()
    while scripted.scoreboard.timer_on:
        scripted.tick()
    scripted.die(worker)
    assert scripted.supervisor.rollout.current.retry_at is not None
    for _ in range(10):
        assert scripted.scoreboard.timer_on, "nobody looks at the clock"
        scripted.tick()
    assert State.LOADING in [each.state for each in scripted.workers.by_slot.values()]


def test_a_stop_ends_no_connection_that_its_worker_has_just_read(script: Script) -> None:
    scripted = script()
    worker = scripted.serve()
    read, idle = scripted.connect(), scripted.connect()
    scripted.watchdog.stopping_since = scripted.system.clock
    scripted.scoreboard.words[scripted.scoreboard.claim_word(worker)] = read + 1
    scripted.tick(FIRST_REQUEST_LIMIT + TICK)
    assert not scripted.is_ended(read)
    assert scripted.is_ended(idle)
    scripted.scoreboard.unclaim(worker)
    scripted.tick()
    assert scripted.is_ended(read)


def test_runs_that_no_worker_has_keep_no_server_awake(script: Script) -> None:
    scripted = script()
    scripted.serve()
    for number in range(scripted.scoreboard.capacity):  # a worker scribbles: there is no connection
        scripted.scoreboard.set_running(number, scripted.system.clock, 0.1, 0)
    for _ in range(8):
        scripted.tick()
    assert not scripted.scoreboard.timer_on_here
    assert State.KILLED not in [each.state for each in scripted.workers.by_slot.values()]


def test_what_is_written_over_the_words_of_the_supervisor_is_put_right(script: Script) -> None:
    scripted = script()
    worker = scripted.serve()
    scoreboard = scripted.scoreboard
    place = scoreboard.recall_word(worker)
    scoreboard.words[place] = 77
    scripted.connect()
    assert scoreboard.words[place] == scoreboard.recalls(worker), (
        "it leaves what it is handed unread"
    )
    scoreboard.words[place] = 77
    scripted.tick()
    assert scoreboard.words[place] == scoreboard.recalls(worker)


def test_a_full_server_goes_on_asking_for_what_is_closed(script: Script) -> None:
    scripted = script()
    scripted.serve()
    while not scripted.supervisor.sockets.full:
        scripted.connect()
    for _ in range(5):
        scripted.tick()
        scripted.scoreboard._map[0] = scripted.scoreboard._map[1] = 0  # a worker scribbles
    assert scripted.scoreboard.timer_on_here
    scripted.tick()
    assert scripted.scoreboard.notify_close


def test_a_draining_worker_has_its_time_for_atexit_from_its_last_answer_on(script: Script) -> None:
    scripted = script()
    worker, number = scripted.serve(), scripted.connect()
    begin_runs(scripted, number)
    scripted.scoreboard.words[scripted.scoreboard.claim_word(worker)] = number + 1
    scripted.serve()
    assert scripted.workers[worker].state is State.DRAINING
    for _ in range(int(2 * LEAVE_LIMIT / TICK)):
        scripted.tick()
    scripted.scoreboard.unclaim(worker)
    scripted.scoreboard.set_phase(number, Phase.IDLE)
    epoch = scripted.supervisor.sockets._epochs[number][0]
    scripted.send(worker, Released([[number, epoch]]))
    assert not scripted.owners.count(worker)
    scripted.tick()
    scripted.supervisor.wait(0.0)
    assert scripted.workers[worker].state is State.DRAINING
    for _ in range(int(LEAVE_LIMIT / TICK) + 1):
        scripted.tick()
    scripted.supervisor.wait(0.0)
    assert worker not in scripted.workers.by_slot


def test_a_spare_that_does_not_begin_to_load_is_no_failed_load(script: Script) -> None:
    scripted = script()
    worker = scripted.serve()
    scripted.die(worker)
    silent = scripted.worker(State.LOADING)
    for _ in range(int(LOAD_LIMIT / TICK) + 2):
        scripted.tick()
    scripted.supervisor.wait(0.0)
    assert silent not in scripted.workers.by_slot
    assert scripted.worker(State.LOADING) != silent
    assert scripted.supervisor.rollout.current.retry_at is None
    assert scripted.workers.banned == 0


def test_a_spare_that_has_begun_to_load_has_longer_than_that(script: Script) -> None:
    scripted = script()
    scripted.die(scripted.serve())
    loading = scripted.worker(State.LOADING)
    assert Load in map(type, scripted.messages(loading))
    for _ in range(int(LOAD_LIMIT / TICK) + 2):
        scripted.tick()
    scripted.supervisor.rollout.stop()  # sends a message that it reads after the load
    for _ in range(int(LOAD_LIMIT / TICK) + 2):
        scripted.tick()
    assert scripted.worker(State.LOADING) == loading


# -- streams ----------------------------------------------------------------------------------


def begin_stream(scripted: Scripted, number: int, budget: float = float("inf")) -> None:
    """Begin a run that has sent a part, in a worker that has it in hand."""
    scripted.scoreboard.set_running(number, scripted.system.clock, budget, 0)
    scripted.scoreboard.set_phase(number, Phase.STREAMING)


def test_a_stream_is_cut_at_the_deadline_of_its_run_and_its_worker_killed_two_seconds_later(
    script: Script,
) -> None:
    scripted = script()
    worker, number = scripted.serve(overlap=True), scripted.connect()
    scripted.scoreboard.set_running(number, scripted.system.clock, 2.0, 0)
    for _ in range(4):
        scripted.tick()
        scripted.send(worker, Pong())
    scripted.scoreboard.set_phase(number, Phase.STREAMING)  # the deadline does not move
    for _ in range(4):
        scripted.tick()
        scripted.send(worker, Pong())
    assert not scripted.is_ended(number)
    scripted.tick()
    assert scripted.is_ended(number)
    scripted.send(worker, Pong())
    for _ in range(int(CUT_LIMIT / 0.25)):
        assert scripted.workers[worker].state is State.SERVING
        scripted.tick()
        scripted.send(worker, Pong())
    scripted.tick()
    assert worker not in scripted.workers.by_slot


def test_a_synchronous_stream_keeps_no_other_client_waiting(script: Script) -> None:
    scripted = script()
    worker, number = scripted.serve(), scripted.connect()
    begin_stream(scripted, number)
    scripted.tick()
    scripted.tick()
    assert scripted.workers[worker].state is State.BUSY


@pytest.mark.parametrize("state", [State.DRAINING, State.KEPT])
def test_a_replaced_worker_has_the_time_of_a_drain_for_its_streams_and_no_limit_for_its_runs(
    script: Script, state: State
) -> None:
    keep = state is State.KEPT
    probation = ProbationLimit(requests=500) if keep else None
    scripted = script(drain_timeout=2.0, probation=probation, keep_previous=keep)
    worker = scripted.serve(overlap=True)
    streaming, running = scripted.connect(), scripted.connect()
    begin_stream(scripted, streaming)
    begin_runs(scripted, running)
    for _ in range(20):  # before the replacement it has as much as it needs
        scripted.tick()
        scripted.send(worker, Pong())
    scripted.serve()
    assert scripted.workers[worker].state is state
    for _ in range(7):
        scripted.tick()
        scripted.send(worker, Pong())
        assert not scripted.is_ended(streaming)
    for _ in range(3):
        scripted.tick()
        scripted.send(worker, Pong())
    assert scripted.is_ended(streaming)
    assert not scripted.is_ended(running)
    assert scripted.workers[worker].state is state
