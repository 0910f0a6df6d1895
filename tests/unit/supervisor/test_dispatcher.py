"""The dispatcher: which worker gets which connection."""

from __future__ import annotations

from collections import deque

import pytest

from hotwhisk.openwhisk.answers import Cause
from hotwhisk.supervisor import dispatcher
from hotwhisk.supervisor.commands import (
    Assign,
    CloseConnection,
    Command,
    Recall,
    Recovery,
    SendError,
    StartWorker,
)
from hotwhisk.supervisor.dispatcher import Dispatcher, Queue
from hotwhisk.supervisor.workers import Event, Workers


def same_assignment(one: Command, other: Assign) -> bool:
    return isinstance(one, Assign) and (one.worker, one.run_error) == (
        other.worker,
        other.run_error,
    )


class Server:
    """Generation 1 with as many workers as asked for, in the slots 0, 1 and so on."""

    def __init__(self, workers: int) -> None:
        self.commands: deque[Command] = deque()
        self.workers = Workers(16, self.commands)
        self.dispatcher = Dispatcher(self.workers, self.commands)
        self.owners = self.dispatcher.owners
        if workers:
            self.dispatcher.run_error = ""
        for _ in range(workers):
            self.recruit()
        self.new()

    def recruit(self) -> int:
        slot = self.workers.spare
        self.workers.apply(slot, Event.LOAD)
        self.workers[slot].generation = 1
        self.workers.replace_spare()
        self.workers.apply(slot, Event.READY)
        return slot

    def accept(self, *numbers: int) -> None:
        for number in numbers:
            self.dispatcher.accepted(number)

    def new(self) -> list[Command]:
        """Return the commands since the last call; several `Assign`s to one worker count as one."""
        found: list[Command] = []
        for each in self.commands:
            if isinstance(each, Assign):
                same = [i for i, one in enumerate(found) if same_assignment(one, each)]
                if same:
                    numbers = found[same[0]].numbers + each.numbers  # type: ignore[union-attr]
                    found[same[0]] = Assign(each.worker, numbers, each.run_error)
                    continue
            if not isinstance(each, StartWorker):
                found.append(each)
        self.commands.clear()
        return found

    def die(
        self, slot: int, *recoveries: tuple[int, Recovery], cause: Cause = Cause.KILLED
    ) -> bool:
        self.workers.remove(slot)
        return self.dispatcher.recover(slot, recoveries, cause, "signal 9")


def test_connections_are_spread_evenly() -> None:
    server = Server(3)
    server.accept(*range(7))
    handed = {each.worker: each.numbers for each in server.new() if isinstance(each, Assign)}
    assert handed == {0: (0, 3, 6), 1: (1, 4), 2: (2, 5)}
    server.accept(7)
    assert server.new() == [Assign(1, (7,))]


def test_before_the_first_action_the_spare_answers() -> None:
    server = Server(0)
    server.accept(1)
    assert server.new() == [Assign(server.workers.spare, (1,), Cause.NO_ACTION)]


def test_where_all_hang_connections_wait_a_tick_then_the_spare_reads_them() -> None:
    server = Server(1)
    server.workers.apply(0, Event.STUCK)
    server.accept(1, 2)
    assert server.new() == []
    server.dispatcher.give_to_spare()
    assert server.new() == [Assign(server.workers.spare, (1, 2))]
    server.dispatcher.give_to_spare()
    assert server.new() == []


def test_a_sibling_gets_what_a_stuck_worker_gave_back() -> None:
    server = Server(2)
    server.accept(1, 2, 3)
    server.new()
    server.workers.apply(0, Event.STUCK)
    server.dispatcher.reclaimed(0, [(3, False)])
    assert server.new()[-1] == Assign(1, (3,))
    assert server.owners.owned(0) == {1}  # the one in its handler


def test_parked_ones_wait_for_a_worker_and_go_first() -> None:
    server = Server(1)
    server.workers.apply(0, Event.STUCK)
    server.accept(1, 2)
    server.dispatcher.give_to_spare()
    server.dispatcher.reclaimed(server.workers.spare, [(2, True)])
    server.dispatcher.give_to_spare()
    assert list(server.owners.parked) == [2]
    server.new()
    server.accept(3)
    server.workers.apply(0, Event.RELEASED)
    server.dispatcher.recall_from_spare()
    server.dispatcher.assign_waiting()
    assert server.new() == [Recall(server.workers.spare), Assign(0, (2, 3))]


def test_too_many_parked_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "PARKED_LIMIT", 1)
    server = Server(1)
    server.workers.apply(0, Event.STUCK)
    server.accept(1, 2)
    server.dispatcher.give_to_spare()
    spare = server.workers.spare
    server.dispatcher.reclaimed(spare, [(1, True), (2, True)])
    assert server.new()[-1] == SendError(spare, 2, Cause.BUSY, "")
    assert server.owners.owner(2) == spare


def test_a_late_release_changes_nothing() -> None:
    server = Server(2)
    server.accept(1)
    server.new()
    server.dispatcher.reclaimed(1, [(1, False)])  # worker 1 never had it
    assert server.new() == []
    assert server.owners.owner(1) == 0


def test_the_busiest_share_with_a_fresh_worker() -> None:
    server = Server(2)
    server.accept(*range(5))
    server.new()
    server.recruit()
    server.dispatcher.rebalance()
    assert server.new() == [Recall(0), Recall(1)]


def test_nothing_is_taken_back_from_who_has_nothing() -> None:
    server = Server(1)
    server.dispatcher.recall(0)
    assert server.new() == []
    server.dispatcher.recall(0, drain=True)
    assert server.new() == [Recall(0, drain=True)]


def test_only_a_connection_with_a_pending_init_returns() -> None:
    server = Server(1)
    server.accept(1)
    server.new()
    server.dispatcher.init_answered(1)
    assert server.new() == []
    server.owners.move(1, Queue.INIT_PENDING)
    server.dispatcher.init_answered(1)
    assert server.new() == [Assign(0, (1,))]


def test_recoveries_after_an_exit() -> None:
    server = Server(1)
    server.accept(*range(5))
    server.new()
    in_handler = server.die(
        0,
        (0, Recovery.KEEP),
        (1, Recovery.QUEUE),
        (2, Recovery.FAIL),
        (3, Recovery.LOST),
        (4, Recovery.CLOSE),
    )
    spare = server.workers.spare
    assert in_handler
    assert server.new() == [
        SendError(spare, 2, Cause.KILLED, "signal 9"),
        SendError(spare, 3, Cause.LOST, "signal 9"),
        CloseConnection(4),
    ]
    assert list(server.owners.waiting) == [0]
    assert list(server.owners.parked) == [1]
    assert 4 not in server.owners


def test_a_request_that_was_too_large_to_be_read_is_told_so_and_is_to_blame() -> None:
    server = Server(1)
    server.accept(1)
    server.new()
    assert server.die(0, (1, Recovery.LOST), cause=Cause.OUT_OF_MEMORY)
    assert server.new() == [SendError(server.workers.spare, 1, Cause.OUT_OF_MEMORY, "signal 9")]


def test_a_death_in_a_stream_is_one_in_a_handler_and_one_in_another_answer_is_not() -> None:
    for recovery, in_handler in ((Recovery.CUT_STREAM, True), (Recovery.CUT, False)):
        server = Server(1)
        server.accept(1)
        server.new()
        assert server.die(0, (1, recovery)) is in_handler
        assert server.new() == [CloseConnection(1)]
        assert 1 not in server.owners


def test_lost_bytes_are_no_death_in_a_handler() -> None:
    server = Server(1)
    server.accept(1)
    assert not server.die(0, (1, Recovery.LOST))


def test_a_connection_of_another_worker_needs_no_recovery() -> None:
    server = Server(2)
    server.accept(1)
    server.new()
    server.die(1, (1, Recovery.FAIL))
    assert server.new() == []


def test_a_spare_that_dies_owing_leaves_it_to_the_next() -> None:
    server = Server(1)
    server.accept(1)
    server.die(0, (1, Recovery.FAIL))
    first = server.workers.spare
    server.new()
    server.die(first, (1, Recovery.FAIL))
    assert server.new() == [SendError(server.workers.spare, 1, Cause.KILLED, "signal 9")]
    assert server.workers.spare != first


def test_a_spare_whose_recall_is_not_carried_out_gets_nothing() -> None:
    server = Server(2)
    server.accept(1, 2)
    spare = server.workers.spare
    server.owners.move(3, spare)
    server.new()
    server.dispatcher.run_error = Cause.STOPPING
    server.dispatcher.recall(0)
    server.dispatcher.recall(1)
    server.dispatcher.recall_from_spare()
    assert server.new() == [Recall(0), Recall(1), Recall(spare)]
    server.dispatcher.reclaimed(0, [(1, False)])
    assert server.new() == [], "that recall would take it from the spare, which reads it too"
    server.dispatcher.reclaimed(1, [(2, False)])
    server.dispatcher.reclaimed(spare, [(3, False)])
    assert {each.worker for each in server.new() if isinstance(each, Assign)} == {0, 1}
