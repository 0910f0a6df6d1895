"""Commands that meet a world other than they suppose, with fake processes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotwhisk.ipc.messages import Assign, SendError
from hotwhisk.ipc.scoreboard import Phase
from hotwhisk.openwhisk.sentinels import BOTH
from tests.unit.supervisor.scripted import Scripted

Script = Callable[..., Scripted]


def test_half_a_request_in_a_file_that_never_arrived_is_answered(script: Script) -> None:
    scripted = script()
    worker = scripted.serve()
    lost, other = scripted.connect(), scripted.connect()
    scripted.scoreboard.set_spill(lost, 7, 100)  # by a message whose descriptor was lost
    scripted.scoreboard.set_phase(lost, Phase.BUFFERED)
    scripted.die(worker)
    scripted.serve()
    orders = [each for slot in scripted.workers.by_slot for each in scripted.messages(slot)]
    (answer,) = [each for each in orders if isinstance(each, SendError)]
    assert (answer.number, answer.status, answer.last) == (lost, 502, True)
    (assign,) = [each for each in orders if isinstance(each, Assign)]
    assert [number for number, *_ in assign.connections] == [other]


@pytest.mark.parametrize(("noted", "missing"), [(0, BOTH), (BOTH, 0)])
def test_sentinels_are_missing_until_a_spare_notes_them(
    script: Script, noted: int, missing: int
) -> None:
    scripted = script(openwhisk=True)
    killed = scripted.serve()
    number = scripted.connect()
    scripted.scoreboard.set_running(number, 1000.0, float("inf"), 0)
    told = []
    for _ in range(2):
        scripted.die(killed)
        scripted.tick()  # a spare that dies at once is not forked again before
        orders = [
            (slot, each) for slot in scripted.workers.by_slot for each in scripted.messages(slot)
        ]
        ((killed, answer),) = [(slot, each) for slot, each in orders if isinstance(each, SendError)]
        told.append(answer.sentinels)
        if noted:
            scripted.scoreboard.set_sentinels(number, noted)
    assert told == [BOTH, missing]
