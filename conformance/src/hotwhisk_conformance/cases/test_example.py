"""
E1 to E8: images with an action of their own, and how a bad one looks from outside.

They need three more targets: ``--example`` with the platform's example program baked in,
``--badaction``, which sleeps or exits on demand, and ``--badproxy``, which serves nothing.
"""

from __future__ import annotations

import pytest

from hotwhisk_conformance.client import NoAnswer
from hotwhisk_conformance.session import Session

row = pytest.mark.conformance

MESSAGE = "Hello from arbitrary C program!"
LOG = "This is an example log message from an arbitrary C program!"


@row("E1", "skeleton")
def test_e1_baked_in_action_without_init(example: Session) -> None:
    answer = example.post_run({})
    assert answer.status == 200, f"/run: got {answer}"
    assert answer.document == {"msg": MESSAGE, "args": {}}, f"/run: got {answer}"
    example.must_write(stdout=LOG, stderr=None)


@row("E2", "skeleton")
def test_e2_baked_in_action_after_init_that_does_nothing(example: Session) -> None:
    answer = example.post_init({})
    assert answer.status == 200, f"/init: got {answer}"
    answer = example.post_run({})
    assert answer.status == 200, f"/run: got {answer}"
    assert answer.document == {"msg": MESSAGE, "args": {}}, f"/run: got {answer}"
    example.must_write(stdout=LOG, stderr=None)


@row("E3", "skeleton")
def test_e3_baked_in_action_with_arguments(example: Session) -> None:
    for argument in ({"a": "A"}, {"i": 1}):
        example.must_run(argument, {"msg": MESSAGE, "args": argument})
    example.must_write(sentinels=2, stdout=LOG, stderr=None)


@row("E4", "skeleton")
def test_e4_init_that_never_answers(badaction: Session) -> None:
    body = {"value": {"code": "sleep", "main": "main", "binary": False, "env": None}}
    assert badaction.times_out("/init", body)
    badaction.must_write(sentinels=0, stdout="sleeping")


@row("E5", "skeleton")
def test_e5_init_that_exits(badaction: Session) -> None:
    answer = badaction.init("exit")
    assert answer.status == 500, f"/init: got {answer}"
    assert not isinstance(answer.document, dict), f"/init: got {answer}"
    badaction.must_write(sentinels=0, stdout="exit", stderr=None)


@row("E6", "skeleton")
def test_e6_run_that_never_answers(badaction: Session) -> None:
    assert badaction.times_out("/run", {"value": {"sleep": True}})
    badaction.must_write(sentinels=0, stdout="sleeping")


@row("E7", "skeleton")
def test_e7_run_that_exits(badaction: Session) -> None:
    answer = badaction.run({"exit": True})
    assert answer.status == 500, f"/run: got {answer}"
    assert not isinstance(answer.document, dict), f"/run: got {answer}"
    badaction.must_write(sentinels=0, stdout="exit", stderr=None)


@row("E8", "skeleton")
def test_e8_no_server_listens(badproxy: Session) -> None:
    with pytest.raises(NoAnswer):
        badproxy.post_init({})
    badproxy.must_write(sentinels=0)
