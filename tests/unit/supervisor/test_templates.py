"""Which generations have a template, and which must not have one."""

from __future__ import annotations

from hotwhisk.supervisor.commands import Artifact, Candidate, Kill
from hotwhisk.supervisor.generation import Policy
from hotwhisk.supervisor.rollout import Rollout
from hotwhisk.supervisor.workers import State


def loading() -> Rollout:
    """Return a rollout whose first generation is being loaded."""
    rollout = Rollout(Policy(), 64)
    rollout.submit(Candidate(Artifact()))
    return rollout


def killed(rollout: Rollout) -> list[int]:
    """Return the slots that were killed since the last call."""
    found = [each.worker for each in rollout.commands if isinstance(each, Kill)]
    rollout.commands.clear()
    return found


def template_of(rollout: Rollout, generation: int) -> int:
    slot = rollout.template_ready(generation)
    assert slot is not None
    assert rollout.workers.templates.get(generation) == slot
    return slot


def test_one_that_is_not_needed_is_killed_once() -> None:
    rollout = loading()
    slot = template_of(rollout, 1)
    rollout.workers.end_template(1)
    rollout.workers.end_template(1)
    assert killed(rollout) == [slot]
    assert rollout.workers.templates.get(1) is None


def test_one_that_is_dead_is_not_killed() -> None:
    rollout = loading()
    slot = template_of(rollout, 1)
    rollout.template_exited(slot, [])
    rollout.workers.end_template(1)
    assert not killed(rollout)


def test_one_that_did_not_fork_in_time_is_killed_and_no_worker_comes_from_it() -> None:
    rollout = loading()
    slot = template_of(rollout, 1)
    rollout.workers.template_timed_out(slot)
    assert killed(rollout) == [slot]
    assert rollout.workers[slot].state is State.KILLED
    assert rollout.workers.templates.get(1) is None


def test_a_generation_has_one_template() -> None:
    rollout = loading()
    template_of(rollout, 1)
    assert rollout.template_ready(1) is None


def test_a_generation_that_is_not_wanted_has_none() -> None:
    assert loading().template_ready(2) is None


def test_a_generation_whose_template_was_no_good_has_no_other() -> None:
    rollout = loading()
    slot = template_of(rollout, 1)
    rollout.workers.ban_template(1)
    assert killed(rollout) == [slot]
    assert rollout.workers.banned == 1
    rollout.workers.ban_template(0)  # a worker of the version before, late
    assert rollout.workers.banned == 1


def test_at_the_end_each_is_killed() -> None:
    rollout = loading()
    slot = template_of(rollout, 1)
    rollout.stop()
    assert killed(rollout) == [slot]
