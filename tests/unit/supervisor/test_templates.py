"""Which generations have a template, and which are to have none."""

from __future__ import annotations

from collections import deque

from hotwhisk.supervisor.commands import Command, KillTemplate
from hotwhisk.supervisor.templates import Templates


def test_one_that_nobody_wants_is_ended_once() -> None:
    commands: deque[Command] = deque()
    templates = Templates(commands)
    templates.add(1)
    assert 1 in templates
    templates.end(1)
    templates.end(1)
    assert list(commands) == [KillTemplate(1)]
    assert 1 not in templates


def test_one_that_is_dead_is_not_ended() -> None:
    commands: deque[Command] = deque()
    templates = Templates(commands)
    templates.add(1)
    templates.ended(1)
    templates.end_all()
    assert not commands


def test_a_generation_whose_template_was_no_good_has_no_other() -> None:
    commands: deque[Command] = deque()
    templates = Templates(commands)
    templates.add(2)
    templates.ban(2)
    assert list(commands) == [KillTemplate(2)]
    assert not templates.allows(2)
    assert templates.allows(3)
    templates.ban(1)  # a worker of the version before, late
    assert not templates.allows(2)


def test_at_the_end_all_are_ended() -> None:
    commands: deque[Command] = deque()
    templates = Templates(commands)
    templates.add(1)
    templates.add(2)
    templates.end_all()
    assert set(commands) == {KillTemplate(1), KillTemplate(2)}
