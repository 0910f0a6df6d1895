"""
What decisions come to where the world is not as they suppose, with fake processes.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotwhisk.ledger import Phase
from hotwhisk.messages import Answer, Hand
from hotwhisk.sentinels import BOTH
from tests.unit.supervisor.scripted import Scripted

Script = Callable[..., Scripted]


def test_half_a_request_in_a_file_that_never_arrived_is_answered(script: Script) -> None:
    scripted = script()
    worker = scripted.serve()
    lost, other = scripted.connect(), scripted.connect()
    scripted.ledger.spilled(lost, 7, 100)  # by a deposit for which there was no descriptor
    scripted.ledger.set_phase(lost, Phase.WAITING)
    scripted.die(worker)
    scripted.serve()
    orders = [each for slot in scripted.roster.workers for each in scripted.orders(slot)]
    (answer,) = [each for each in orders if isinstance(each, Answer)]
    assert (answer.number, answer.status, answer.last) == (lost, 502, True)
    (hand,) = [each for each in orders if isinstance(each, Hand)]
    assert [number for number, *_ in hand.connections] == [other]


@pytest.mark.parametrize(("noted", "owed"), [(0, BOTH), (BOTH, 0)])
def test_sentinels_are_owed_until_a_desk_notes_them(script: Script, noted: int, owed: int) -> None:
    scripted = script(openwhisk=True)
    doomed = scripted.serve()
    number = scripted.connect()
    scripted.ledger.handling(number, 1000.0, float("inf"), 0)
    told = []
    for _ in range(2):
        scripted.die(doomed)
        scripted.look()  # a desk that dies at once is not forked again before
        orders = [
            (slot, each) for slot in scripted.roster.workers for each in scripted.orders(slot)
        ]
        ((doomed, answer),) = [(slot, each) for slot, each in orders if isinstance(each, Answer)]
        told.append(answer.sentinels)
        if noted:
            scripted.ledger.ended(number, noted)
    assert told == [BOTH, owed]
