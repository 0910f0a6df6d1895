"""
What the supervisor makes of what it hears, deaths among it, with fake processes.
"""

from __future__ import annotations

from collections.abc import Callable

from hotwhisk.messages import Discard
from hotwhisk.supervisor.lifecycle import State
from tests.unit.supervisor.scripted import Scripted

Script = Callable[..., Scripted]


def test_a_folder_that_is_in_use_again_is_not_removed_for_a_desk_that_died(
    script: Script,
) -> None:
    scripted = script(crash_count=2)
    scripted.die(scripted.serve())
    scripted.die(scripted.worker(State.LOADING))  # a loop: the generation pauses, nobody serves it
    desk = scripted.roster.desk
    assert Discard in map(type, scripted.orders(desk))
    while scripted.roster[desk].state is State.BLANK:
        scripted.look()
    scripted.die(desk)  # it was told to remove the folder, then to load; it did neither
    assert scripted.worker(State.LOADING)
    assert Discard not in map(type, scripted.orders(scripted.roster.desk))
