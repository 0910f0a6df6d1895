"""
Which generations have a template, and which are to have none.
"""

from __future__ import annotations

from collections import deque

from hotwhisk.supervisor.effects import Effect, EndTemplate
from hotwhisk.supervisor.templates import Templates


def test_one_that_nobody_wants_is_ended_once() -> None:
    effects: deque[Effect] = deque()
    templates = Templates(effects)
    templates.add(1)
    assert 1 in templates
    templates.end(1)
    templates.end(1)
    assert list(effects) == [EndTemplate(1)]
    assert 1 not in templates


def test_one_that_is_dead_is_not_ended() -> None:
    effects: deque[Effect] = deque()
    templates = Templates(effects)
    templates.add(1)
    templates.ended(1)
    templates.end_all()
    assert not effects


def test_a_generation_whose_template_was_no_good_has_no_other() -> None:
    effects: deque[Effect] = deque()
    templates = Templates(effects)
    templates.add(2)
    templates.distrust(2)
    assert list(effects) == [EndTemplate(2)]
    assert not templates.trusts(2)
    assert templates.trusts(3)
    templates.distrust(1)  # a worker of the version before, late
    assert not templates.trusts(2)


def test_at_the_end_all_are_ended() -> None:
    effects: deque[Effect] = deque()
    templates = Templates(effects)
    templates.add(1)
    templates.add(2)
    templates.end_all()
    assert set(effects) == {EndTemplate(1), EndTemplate(2)}
