from __future__ import annotations

import pytest

from hotwhisk.platform import Limits
from hotwhisk.platform.exchange import HttpAnswer, NoAnswer, Outcome
from hotwhisk.platform.verdict import Status, is_unhealthy, judge_init, judge_run

LIMITS = Limits(timeout=1000, response=20)
DEVELOPER, APPLICATION = Status.DEVELOPER_ERROR, Status.APPLICATION_ERROR
NOT_JSON = "The action did not produce a valid JSON or JSON Array response: "
MEMORY = "The action exhausted its memory and was aborted."


def answer(status: int, body: str, seconds: float = 0.1) -> Outcome:
    content = body.encode()
    return Outcome(HttpAnswer(status, content[:20], len(content)), 0.0, seconds)


def nothing(seconds: float = 0.1) -> Outcome:
    return Outcome(NoAnswer("gone"), 0.0, seconds)


def no() -> bool:
    return False


def yes() -> bool:
    return True


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (answer(502, '{"error":"why"}'), "why"),
        (answer(502, '{"error":{"a":1}}'), {"a": 1}),
        (answer(500, "[1]"), "The action failed during initialization: [1]"),
        (answer(404, "<html>"), "The action failed during initialization: <html>"),
        (answer(403, '{"a":1}'), 'The action failed during initialization: {"a":1}'),
        (nothing(), "The action did not initialize and exited unexpectedly."),
        (nothing(1.0), ("The action exceeded its time limits of 1000 milliseconds"
         " during initialization.")),
        (answer(502, '{"error":"why"}', 1.5), ("The action exceeded its time limits of 1000"
         " milliseconds during initialization.")),
        (answer(200, "x" * 30), ("The action produced a response that exceeded the allowed length:"
         f" 30 > 20 bytes. The truncated response was: {'x' * 20}")),
    ],
)  # fmt: skip
def test_an_init_that_failed(outcome: Outcome, error: object) -> None:
    verdict = judge_init(outcome, LIMITS, no)
    assert verdict is not None
    assert verdict.status is DEVELOPER
    assert verdict.result == {"error": error}


@pytest.mark.parametrize("outcome", [answer(200, ""), answer(200, "OK"), answer(200, "OK", 2.0)])
def test_an_init_that_answers_200_succeeded_even_if_late(outcome: Outcome) -> None:
    assert judge_init(outcome, LIMITS, no) is None


@pytest.mark.parametrize(
    ("outcome", "status", "result"),
    [
        (answer(200, '{"a":1}'), Status.SUCCESS, {"a": 1}),
        (answer(200, "[1, 2]"), Status.SUCCESS, [1, 2]),
        (answer(200, '{"error":1,"b":2}'), APPLICATION, {"error": 1}),
        (answer(200, "null"), DEVELOPER, {"error": NOT_JSON + "null"}),
        (answer(200, '"text"'), DEVELOPER, {"error": NOT_JSON + '"text"'}),
        (answer(200, '{"a":NaN}'), DEVELOPER, {"error": NOT_JSON + '{"a":NaN}'}),
        (answer(200, "oops"), DEVELOPER, {"error": NOT_JSON + "oops"}),
        (answer(400, '{"error":"x"}'), DEVELOPER, {"error": "x"}),
        (answer(502, '{"a":1}'), DEVELOPER, {"error": NOT_JSON + '{"a":1}'}),
        (answer(502, "[1]"), DEVELOPER, {"error": NOT_JSON + "[1]"}),
        (nothing(), DEVELOPER, {"error": "The action did not produce a valid response and exited"
         " unexpectedly."}),
        (nothing(1.0), DEVELOPER, {"error": "The action exceeded its time limits of 1000"
         " milliseconds."}),
        (answer(200, "{}", 1.0), DEVELOPER, {"error": "The action exceeded its time limits of 1000"
         " milliseconds."}),
        (answer(500, "y" * 21), APPLICATION, {"error": "The action produced a response that"
         f" exceeded the allowed length: 21 > 20 bytes. The truncated response was: {'y' * 20}"}),
    ],
)  # fmt: skip
def test_a_run(outcome: Outcome, status: Status, result: object) -> None:
    verdict = judge_run(outcome, LIMITS, no)
    assert verdict.status is status
    assert verdict.result == result


def test_the_memory_text_needs_a_broken_connection() -> None:
    init = judge_init(nothing(), LIMITS, yes)
    assert init is not None
    assert init.result == {"error": MEMORY}
    assert judge_run(nothing(), LIMITS, yes).result == {"error": MEMORY}
    assert judge_run(answer(400, '{"error":"x"}'), LIMITS, yes).result == {"error": "x"}


def test_503_says_that_the_container_leaves() -> None:
    assert is_unhealthy(answer(503, ""))
    assert not is_unhealthy(answer(500, ""))
    assert not is_unhealthy(nothing())


def test_a_response_as_the_record_shows_it() -> None:
    assert judge_run(answer(200, '{"a":1}'), LIMITS, no).shown() == {
        "status": "success",
        "statusCode": 0,
        "success": True,
        "result": {"a": 1},
        "size": 7,
    }
