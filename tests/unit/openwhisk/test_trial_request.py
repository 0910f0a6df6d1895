"""The member ``trial`` of an ``/init``, and the answer with a verdict."""

from __future__ import annotations

import json

import pytest

from hotwhisk.errors import RequestError
from hotwhisk.openwhisk.bodies import read_init
from hotwhisk.openwhisk.trial_request import (
    MOST_COPIES,
    MOST_PATTERNS,
    MOST_SECONDS,
    SECONDS,
    init_done,
    read_trial,
)


def test_a_trial_has_copies_seconds_and_what_is_ignored() -> None:
    assert read_trial(None) is None
    trial = read_trial({"copies": 200})
    assert trial is not None
    assert (trial.copies, trial.seconds, trial.ignore) == (200, SECONDS, ())
    trial = read_trial({"copies": 1, "seconds": 5, "ignore": [r"\d+"]})
    assert trial is not None
    assert (trial.seconds, [each.pattern for each in trial.ignore]) == (5, [r"\d+"])


@pytest.mark.parametrize(
    ("member", "why"),
    [
        (200, "must be an object"),
        ({}, "`copies` of `trial` must be a number"),
        ({"copies": 0}, "from 1 to"),
        ({"copies": True}, "from 1 to"),
        ({"copies": MOST_COPIES + 1}, "from 1 to"),
        ({"copies": 1, "seconds": MOST_SECONDS + 1}, "`seconds`"),
        ({"copies": 1, "seconds": 0.5}, "`seconds`"),
        ({"copies": 1, "ignore": "x"}, "an array"),
        ({"copies": 1, "ignore": [1]}, "an array"),
        ({"copies": 1, "ignore": ["x"] * (MOST_PATTERNS + 1)}, "an array"),
        ({"copies": 1, "ignore": ["x" * 501]}, "500 characters"),
        ({"copies": 1, "ignore": ["("]}, "no regular expression"),
        ({"copies": 1, "ignored": []}, "no member `ignored`"),
    ],
)
def test_another_form_is_refused(member: object, why: str) -> None:
    with pytest.raises(RequestError, match="/init") as caught:
        read_trial(member)
    assert why in str(caught.value)


def test_an_init_may_ask_for_a_trial() -> None:
    value = {"code": "def main(event): ...", "trial": {"copies": 7}}
    request = read_init(json.dumps({"value": value}).encode())
    assert request.trial is not None
    assert request.trial.copies == 7
    assert read_init(b'{"value":{"code":"x"}}').trial is None


def test_the_answer_has_the_verdict_if_there_is_one() -> None:
    assert init_done("") == b'{"ok":true}\n'
    assert init_done("it passed") == b'{"ok":true,"trial":"it passed"}\n'
