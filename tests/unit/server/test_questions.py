"""Limits of the connections that ask one question: a slow client, a silent one, one that leaves."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from hotwhisk.server.questions import MOST_OPEN, TIME_LIMIT, Question, Questions
from tests.unit.supervisor.scripted import Scripted

LARGE = bytes(range(256)) * 40_000
"""An answer that no socket takes at once."""


class Asked:
    """A listener whose questions are one line, and the answers that the test gives."""

    def __init__(self, scripted: Scripted) -> None:
        self.scripted = scripted
        self.data: bytes | None = b"an answer"
        """What a complete question is answered with; None: the test answers it later."""
        self.asked: list[Question] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.questions = Questions(self.listener, self._answer, b"a bug", scripted.supervisor.parts)

    def _answer(self, question: Question) -> bool:
        if not question.received.endswith(b"\n"):
            return False
        self.asked.append(question)
        if self.data is not None:
            question.answer(self.data)
        return True

    def connect(self, data: bytes = b"") -> socket.socket:
        """Connect a client that sends this."""
        end = socket.create_connection(self.listener.getsockname())
        end.settimeout(5.0)
        end.sendall(data)
        self.turn()
        return end

    def turn(self) -> None:
        """Let the supervisor act on what is ready."""
        for _ in range(3):
            self.scripted.supervisor.wait(0.05)

    def read(self, end: socket.socket) -> bytes:
        """Read to the end, and let the supervisor send on meanwhile."""
        found = b""
        while data := end.recv(65536):
            found += data
            self.scripted.supervisor.wait(0.0)
        return found


@pytest.fixture
def asked(script: Callable[..., Scripted]) -> Iterator[Asked]:
    made = Asked(script())
    yield made
    made.questions.close()
    for question in made.asked:
        question.connection.close()


def test_a_question_may_come_in_parts(asked: Asked) -> None:
    with asked.connect(b"a") as end:
        assert asked.questions.expire(asked.scripted.system.clock)
        end.sendall(b"\n")
        asked.turn()
        assert asked.read(end) == b"an answer"
    asked.turn()
    assert not asked.questions.expire(asked.scripted.system.clock)


@pytest.mark.slow
def test_a_large_answer_is_sent_as_it_is_read(asked: Asked) -> None:
    asked.data = LARGE
    with asked.connect(b"a\n") as slow, asked.connect(b"b\n") as other:
        assert asked.read(other) == LARGE
        assert asked.read(slow) == LARGE


def test_an_answer_that_is_not_read_ends_at_the_time_limit(asked: Asked) -> None:
    asked.data = LARGE
    with asked.connect(b"a\n"):
        assert asked.questions.expire(asked.scripted.system.clock + TIME_LIMIT)
        assert not asked.questions.expire(asked.scripted.system.clock + TIME_LIMIT + 1)


def test_one_more_connection_closes_the_oldest(asked: Asked) -> None:
    ends = [asked.connect() for _ in range(MOST_OPEN + 1)]
    assert ends[0].recv(1) == b""
    ends[-1].sendall(b"a\n")
    asked.turn()
    assert asked.read(ends[-1]) == b"an answer"
    for end in ends:
        end.close()


def test_an_answer_may_come_later_than_the_time_limit(asked: Asked) -> None:
    asked.data = None
    with asked.connect(b"a\n") as end:
        assert not asked.questions.expire(asked.scripted.system.clock + TIME_LIMIT + 1)
        asked.asked[0].answer(b"at last")
        assert asked.read(end) == b"at last"


def test_an_answer_for_a_client_that_has_left_is_no_error(asked: Asked) -> None:
    asked.data = None
    asked.connect(b"a\n").close()
    asked.asked[0].answer(LARGE)
    asked.turn()
    assert not asked.questions.expire(asked.scripted.system.clock)


def test_a_bug_in_an_answer_is_logged_and_told_and_ends_nothing(asked: Asked) -> None:
    real, asked.questions._answer = asked.questions._answer, lambda _: bool(1 / 0)
    with asked.connect(b"a\n") as end:
        assert asked.read(end) == b"a bug"
    (line,) = asked.scripted.logged
    assert line.startswith("a bug in hotwhisk, please report it: Traceback")
    assert "ZeroDivisionError" in line
    asked.questions._answer = real
    with asked.connect(b"a\n") as end:
        assert asked.read(end) == b"an answer"


def test_what_a_client_sends_after_its_question_does_not_cost_it_the_answer(asked: Asked) -> None:
    with asked.connect(b"a\n") as end:
        end.sendall(b"more" * 1000)
        asked.turn()
        assert asked.read(end) == b"an answer"
    asked.turn()
    assert not asked.questions.expire(asked.scripted.system.clock)


def test_a_client_that_leaves_within_its_question_is_forgotten(asked: Asked) -> None:
    asked.connect(b"a").close()
    asked.turn()
    assert not asked.questions.expire(asked.scripted.system.clock)
