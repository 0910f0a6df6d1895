"""
Test the proof of the activations.

It expects what the platform's rules say, and sees each fault that it is there to see.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from hotwhisk.platform import Action, Limits, Names
from hotwhisk.platform.activation import Timing, activation_record
from hotwhisk.platform.verdict import Status, Verdict
from tests.prove.activation_action import SOURCE
from tests.prove.activation_container import Container, Plan
from tests.prove.activation_drivers import DRIVERS
from tests.prove.activation_footprint import SUPERVISOR_GROWTH, Footprint, compare
from tests.prove.activation_kinds import FATAL, HARMLESS, draw
from tests.prove.activation_record import Call, differences
from tests.prove.activation_rules import Expected, Trace, expect
from tests.prove.activations import PARTS

ACTION = Action("hello", "source", limits=Limits(logs=1))
CALL = Call(ACTION, Names("1", "2"))
EVENT = {"do": "list", "id": "a", "given": 1, "say": [("stdout", "out\n"), ("stderr", "err")]}
LINES = (f"{'2026-01-01T00:00:00.000000000Z':<30} ", "stdout: out", "stderr: err")


def record(**changes: object) -> dict[str, object]:
    logs = tuple(LINES[0] + line for line in LINES[1:])
    verdict = Verdict(Status.SUCCESS, ["a", 1], 8)
    made = activation_record(ACTION, CALL.names, verdict, Timing(1.0, 2.0, 3.0), list(logs))
    return {**made, **changes}


def test_a_right_record_is_right() -> None:
    assert differences(record(), CALL, expect(EVENT, {})) == []


RIGHT = record()
RESPONSE, NOTES, LOGS = RIGHT["response"], RIGHT["annotations"], RIGHT["logs"]
assert isinstance(RESPONSE, dict)
assert isinstance(NOTES, list)
assert isinstance(LOGS, list)


@pytest.mark.parametrize(
    "change",
    [
        {"namespace": "other"},
        {"activationId": "3"},
        {"statusCode": 1},
        {"publish": True},
        {"extra": 1},
        {"end": 5},
        {"duration": -1},
        {"response": {**RESPONSE, "result": ["a", 2]}},
        {"response": {**RESPONSE, "size": 9}},
        {"response": {**RESPONSE, "status": "application error"}},
        {"annotations": [*NOTES, {"key": "initTime", "value": 3}]},
        {"annotations": [note for note in NOTES if note["key"] != "waitTime"]},
        {"annotations": [{"key": "timeout", "value": True}, *NOTES[1:]]},
        {"logs": LOGS[:1]},
        {"logs": [*LOGS, LOGS[0]]},
        {"logs": [LOGS[0], LOGS[1].replace("stderr", "stdout")]},
        {"logs": ["no time stamp", *LOGS[1:]]},
    ],
    ids=str,
)
def test_every_difference_is_seen(change: dict[str, object]) -> None:
    assert differences(record(**change), CALL, expect(EVENT, {}))


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"do": "error", "given": [1]}, Expected(1, {"error": [1]}, 23)),
        (
            {"do": "fail", "error": "KeyError", "text": "x"},
            Expected(1, {"error": "'x'"}, 16, err=(Trace("KeyError: 'x'"),)),
        ),
        (
            {"do": "bare", "given": None},
            Expected(2, {"error": "The action did not return a dictionary or array."}, 61),
        ),
        (
            {"do": "die", "say": [("stdout", "a")]},
            Expected(2, {"error": "command exited"}, 27, ("a",)),
        ),
        (
            {"do": "exit", "say": [("stderr", "a\nb")]},
            Expected(2, {"error": "command exited"}, 27, (), ("a", "b")),
        ),
        ({"do": "surrogate"}, Expected(0, {"id": "a", "text": "half \ud83d of it"}, 38)),
    ],
)
def test_what_is_expected(event: dict[str, object], expected: Expected) -> None:
    assert expect({"id": "a", **event}, {}) == expected


@pytest.mark.parametrize(("count", "code"), [(1_048_564, 0), (1_048_565, 1)])
def test_the_answer_that_just_fits(count: int, code: int) -> None:
    assert expect({"do": "big", "id": "a", "letter": "x", "count": count}, {}).code == code


def test_a_log_that_is_too_long_is_cut() -> None:
    say = [("stderr", "x" * 1023 + "\n")] * 1026
    expected = expect({"do": "list", "id": "a", "say": say}, {})
    assert (len(expected.err), len(expected.rest)) == (1025, 1)
    assert "exceeds the limit of 1048576 bytes" in str(expected.err[-1])


def test_every_kind_is_drawn_and_a_seed_repeats_it() -> None:
    for part in PARTS:
        count = 2 * len(part.kinds)
        first, again = (list(draw(Random(7), part.kinds, count)) for _ in range(2))
        assert first == again
        assert {kind.name for kind in first} == {kind.name for kind in part.kinds}
    for kind in HARMLESS + FATAL:
        assert kind.event(Random(7)) == kind.event(Random(7)), kind.name
        assert kind.driver in DRIVERS


def test_what_grows_is_seen() -> None:
    sockets = Counter({"socket": 20})
    before = Footprint(3, 3, sockets, 2, 4, 6, 1000, 1000)
    assert compare("", 500, before, replace(before, supervisor=1000 + SUPERVISOR_GROWTH)) == []
    assert (
        compare(
            "", 500, before, replace(before, threads=2, descriptors=sockets - Counter(socket=1))
        )
        == []
    )
    for change in (
        {"processes": 4},
        {"threads": 4},
        {"descriptors": sockets + Counter(pipe=1)},
        {"spare": 5},
        {"files": 7},
        {"supervisor": 1001 + SUPERVISOR_GROWTH},
        {"workers": 1501},
    ):
        assert len(compare("", 500, before, replace(before, **change))) == 1, change


MUTE = (  # whatever of the server's is the same file as standard error
    "[os.dup2(os.open(os.devnull, os.O_WRONLY), n) for n in map(int, os.listdir('/proc/self/fd'))"
    " if n > 1000 and os.path.sameopenfile(n, 2)]"
)
WRONG = {
    "a sentinel too many": ("return D", "os.write(1, b'%s\\n'); return D", "sentinels"),
    "a sentinel too few": ("return D", f"{MUTE}; return D", "sentinels"),
    "a line too many": ("return D", "print('more'); return D", "stdout"),
    "another result": ('event.get("given")', "None", "response"),
    "an answer of somebody else": ('event["id"]', '"nobody"', "response"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("wrong", WRONG)
def test_a_server_that_does_wrong_is_seen(wrong: str) -> None:
    old, new, seen = WRONG[wrong]
    source = SOURCE.replace(old, new.replace("%s", "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"))
    assert source != SOURCE
    with Container(Plan("wrong", source, 1.0), 1) as host:
        host.invoke(EVENT)
    assert any(seen in problem for problem in host.problems), host.problems
