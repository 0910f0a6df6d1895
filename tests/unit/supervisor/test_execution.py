"""
What decisions come to where the world is not as they suppose, with fake processes.
"""

from __future__ import annotations

from collections.abc import Callable

from hotwhisk.ledger import Phase
from hotwhisk.messages import Answer, Hand
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
