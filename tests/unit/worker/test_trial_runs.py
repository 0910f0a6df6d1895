"""A worker that offers copies, one that runs them, and how two answers are compared."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from hotwhisk.ipc.messages import (
    LONGEST_DIFFERENCE,
    BeginTrial,
    Compared,
    EndTrial,
    OfferCopies,
    TrialEnded,
)
from hotwhisk.openwhisk.trial_request import TrialRequest
from hotwhisk.worker.trial_runs import difference
from tests.support.wire import run_request
from tests.unit.worker.supervised import Supervised

Supervise = Callable[..., Supervised]
ASK = run_request({"name": "Mike"})


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotwhisk.worker.copies.PAUSE", 0.0)


class Pair:
    """A worker that serves, and one of the next version on trial."""

    def __init__(
        self, supervise: Supervise, handler: Callable[..., object], new: Supervised | None = None
    ) -> None:
        self.old, self.new = supervise(), new or supervise()
        self.old.serve(lambda event: event)
        self.new.serve(handler)
        sending, reading = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with sending, reading:
            self.new.send(BeginTrial(), reading.fileno())
            self.old.send(OfferCopies(), sending.fileno())

    def run(self, sent: bytes = ASK) -> str:
        """Send a request to the old version; return what the new one reports of the copy."""
        assert self.old.client(sent).response().status == 200
        found: list[Compared] = []

        def done() -> bool:
            found.extend(each for each in self.new.messages() if isinstance(each, Compared))
            return bool(found)

        if self.new.requests.action is not None and self.new.requests.action.is_async:
            self.new.run_tasks(done)
        else:
            self.new.turn_until(done)
        (only,) = found
        return only.difference


def test_a_copy_is_run_after_the_answer_and_compared(supervise: Supervise) -> None:
    pair = Pair(supervise, lambda event: event)
    assert pair.run() == ""
    assert pair.run() == ""
    pair.new.serve(lambda event: {"name": event["name"].upper()})
    assert pair.run() == 'result.name: "Mike" before, "MIKE" now'


def test_what_the_new_version_raises_is_its_answer(supervise: Supervise) -> None:
    pair = Pair(supervise, lambda _: 1 / 0)
    assert pair.run().startswith('result.name: "Mike" before, (absent) now; and 1 more')
    pair.new.serve(lambda _: {1, 2})
    assert pair.run() == "status 200 before, 502 now"


def test_no_more_copies_are_run_than_were_asked_for(supervise: Supervise) -> None:
    new = supervise()
    new.worker.trial.request = TrialRequest(2)
    pair = Pair(supervise, lambda event: event, new)
    assert pair.run() == ""
    assert pair.run() == ""
    assert pair.old.client(ASK).response().status == 200
    new.send(EndTrial())
    assert new.messages() == [TrialEnded()]


async def echo(event: object) -> object:
    return event


def test_a_coroutine_runs_copies_too(supervise: Supervise) -> None:
    pair = Pair(supervise, lambda event: event)
    pair.new.serve(echo)
    assert pair.run() == ""


def test_at_its_end_the_worker_says_so_and_offers_stop(supervise: Supervise) -> None:
    pair = Pair(supervise, lambda event: event)
    pair.run()
    pair.new.send(EndTrial())
    assert pair.new.messages() == [TrialEnded()]
    for _ in range(2):  # the first finds that nothing reads copies
        assert pair.old.client(ASK).response().status == 200
    assert pair.old.requests.respond == pair.old.requests._respond
    assert pair.new.client(ASK).response().json() == {"name": "Mike"}


def test_a_second_trial_takes_the_place_of_the_first(supervise: Supervise) -> None:
    pair = Pair(supervise, lambda event: event)
    sending, reading = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with sending, reading:
        pair.old.send(OfferCopies(), sending.fileno())
        assert pair.old.client(ASK).response().status == 200
        assert b'{"name": "Mike"}' in reading.recv(4096)


def test_its_output_goes_into_the_pipes_until_the_end(supervise: Supervise) -> None:
    new = supervise()
    new.serve(lambda event: print(event["name"], flush=True) or event)
    sending, reading = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pipes = [os.pipe() for _ in range(2)]
    before = os.fstat(1)
    with sending, reading:
        new.send(BeginTrial(piped=True), reading.fileno(), *(writing for _, writing in pipes))
    for _, writing in pipes:
        os.close(writing)
    os.write(1, b"stdout\n")
    os.write(2, b"stderr\n")
    assert [os.read(each, 100) for each, _ in pipes] == [b"stdout\n", b"stderr\n"]
    new.send(EndTrial())
    assert (os.fstat(1).st_dev, os.fstat(1).st_ino) == (before.st_dev, before.st_ino)
    for each, _ in pipes:
        assert os.read(each, 100) == b""
        os.close(each)


def test_what_the_init_asks_for_is_in_ready(supervised: Supervised) -> None:
    assert supervised.worker.trial.limits == (0, 0)
    supervised.worker.trial.request = TrialRequest(200, 30)
    assert supervised.worker.trial.limits == (200, 30)


def answer(value: object, status: int = 200) -> tuple[int, bytes]:
    return status, json.dumps(value).encode()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, ""),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, "result.a.b[1]: 2 before, 3 now"),
        ({"a": 1}, {"a": 1.0}, "result.a: 1 before, 1.0 now"),
        ({"a": 1}, {"a": True}, "result.a: 1 before, true now"),
        ({"a": 1, "b": 1}, {}, "result.a: 1 before, (absent) now; and 1 more"),
        ([1], [1, 2], "result: [1] before, [1, 2] now"),
        ({"error": "E: no (hello.py:7)"}, {"error": "E: no (hello.py:9)"}, ""),
        ({"error": "no (hello.py:7)"}, {"error": "yes (hello.py:7)"},
         'result.error: "no" before, "yes" now'),
        ({"error": "a (b.py:7)", "c": 1}, {"error": "a (b.py:8)", "c": 1},
         'result.error: "a (b.py:7)" before, "a (b.py:8)" now'),
    ],
)  # fmt: skip
def test_answers_are_compared_by_their_values(old: object, new: object, told: str) -> None:
    assert difference(answer(old), answer(new), ()) == told


def test_what_is_ignored_may_differ() -> None:
    old, new = answer({"at": "10:30", "ms": 12.5}), answer({"at": "11:45", "ms": 9.25})
    assert difference(old, new, ())
    assert not difference(old, new, [re.compile(r"\d+:\d+"), re.compile(r"^[\d.]+$")])


def test_the_text_is_never_too_long() -> None:
    key, value = "k" * 5000, "v" * 5000
    told = difference(answer({key: value}), answer({key: value + "w", "more": 1}), ())
    assert len(told) <= LONGEST_DIFFERENCE
    assert told.endswith("; and 1 more")


def test_the_text_is_one_line_that_can_be_printed() -> None:
    told = difference(answer({"a": "x\x85\u2028\u202e\x9b\ud800\n"}), answer({"a": "y"}), ())
    assert told.isprintable()
    assert not Compared(told).check()


def test_what_cannot_be_compared_differs() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    assert "cannot be compared" in difference((200, deep), (200, b"[]"), ())
    assert difference((200, deep), (200, deep), ()) == ""


def parts(event: object) -> Iterator[object]:
    yield "one"
    yield event


async def parts_async(event: object) -> AsyncIterator[object]:
    yield event


@pytest.mark.parametrize("handler", [parts, parts_async])
def test_a_version_that_answers_in_parts_differs(
    supervise: Supervise, handler: Callable[..., object]
) -> None:
    pair = Pair(supervise, handler)
    assert pair.run() == 'result.name: "Mike" before, (absent) now; and 1 more'
