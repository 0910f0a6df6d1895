from __future__ import annotations

import asyncio
import threading

import pytest

from hotwhisk.gateway.changes import Changes
from hotwhisk.gateway.problems import Problem, Problems


def test_a_change_wakes_those_that_wait_for_its_namespace() -> None:
    async def scenario() -> None:
        changes = Changes()
        with changes.subscribe("guest") as own, changes.subscribe("other") as other:
            threading.Thread(target=changes.publish, args=("guest",)).start()
            await asyncio.wait_for(own.wait(), 5)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(other.wait(), 0.01)

    asyncio.run(scenario())


def test_changes_between_two_waits_are_one() -> None:
    async def scenario() -> None:
        changes = Changes()
        with changes.subscribe("guest") as own:
            changes.publish("guest")
            changes.publish("guest")
            await asyncio.wait_for(own.wait(), 5)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(own.wait(), 0.01)
        changes.publish("guest")  # nothing waits

    asyncio.run(scenario())


def test_the_end_wakes_all_and_later_ones_do_not_wait() -> None:
    async def scenario() -> None:
        changes = Changes()
        with changes.subscribe("guest") as own:
            changes.close()
            await asyncio.wait_for(own.wait(), 5)
            assert own.closed
        with changes.subscribe("guest") as late:
            assert late.closed

    asyncio.run(scenario())


def test_a_loop_that_is_closed_is_no_error() -> None:
    changes = Changes()

    async def scenario() -> None:
        changes.subscribe("guest").__enter__()  # as a request that is cut off

    asyncio.run(scenario())
    changes.publish("guest")


def test_the_problem_of_an_action_replaces_its_earlier_one() -> None:
    problems = Problems(Changes())
    problems.show("guest", Problem("hello", "does not load"))
    problems.show("guest", Problem("hello", "does not compile"))
    problems.show("guest", Problem("ciao", "does not load"))
    problems.show("other", Problem("hello", "is slow"))
    assert [each.title for each in problems.of("guest")] == ["does not compile", "does not load"]
    problems.clear("guest", "hello")
    problems.clear("guest", "hello")
    assert [each.action for each in problems.of("guest")] == ["ciao"]
    assert len(problems.of("other")) == 1
