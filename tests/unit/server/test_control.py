"""The control socket, without a server: valid questions, and which connection is closed."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable, Iterator
from errno import EMFILE
from pathlib import Path

import pytest

from hotwhisk.server.control import FAILURE, Control
from hotwhisk.server.questions import LONGEST, MOST_OPEN, TIME_LIMIT
from tests.unit.supervisor.scripted import Scripted


@pytest.fixture
def control(script: Callable[..., Scripted], tmp_path: Path) -> Iterator[tuple[Scripted, Control]]:
    scripted = script()
    made = Control(
        str(tmp_path / "a.sock"),
        {
            "status": lambda question: question.answer({"pid": 1}),
            "history": lambda question: question.answer({"pid": 1 // 0}),
        },
        scripted.supervisor.parts,
    )
    yield scripted, made
    made.close()
    assert not os.path.exists(made.path)


def connect(scripted: Scripted, control: Control) -> socket.socket:
    end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    end.connect(control.path)
    scripted.supervisor.wait(0.0)
    return end


def answer(scripted: Scripted, control: Control, asked: bytes) -> dict[str, object]:
    with connect(scripted, control) as end:
        end.sendall(asked)
        scripted.supervisor.wait(0.0)
        found = json.loads(end.recv(4096))
        assert isinstance(found, dict)
        return found


def test_the_socket_is_for_its_user_alone(control: tuple[Scripted, Control]) -> None:
    assert stat.S_IMODE(os.stat(control[1].path).st_mode) == 0o600


def test_a_question_is_answered(control: tuple[Scripted, Control]) -> None:
    assert answer(*control, b'{"ask":"status"}\n') == {"pid": 1}


@pytest.mark.parametrize(
    "asked",
    [b"\n", b"{}\n", b"[1]\n", b'{"ask":[]}\n', b'{"ask":"x"}\n', b"\xff\n", b"[" * LONGEST],
)
def test_what_is_no_question_is_told(control: tuple[Scripted, Control], asked: bytes) -> None:
    assert answer(*control, asked)["error"] == "ask one of: history, status"


def test_a_bug_in_an_answer_is_told_and_ends_nothing(control: tuple[Scripted, Control]) -> None:
    assert answer(*control, b'{"ask":"history"}\n') == {"version": 1, "error": FAILURE}
    assert "ZeroDivisionError" in control[0].logged[-1]
    assert answer(*control, b'{"ask":"status"}\n') == {"pid": 1}


def test_the_oldest_of_too_many_is_closed(control: tuple[Scripted, Control]) -> None:
    ends = [connect(*control) for _ in range(MOST_OPEN + 1)]
    assert ends[0].recv(1) == b""
    assert answer(*control, b'{"ask":"status"}\n') == {"pid": 1}
    for end in ends:
        end.close()


def test_time_limit(control: tuple[Scripted, Control]) -> None:
    scripted, made = control
    with connect(*control) as end:
        assert scripted.scoreboard.timer_on
        assert made.questions.expire(scripted.system.clock + TIME_LIMIT)
        assert not made.questions.expire(scripted.system.clock + TIME_LIMIT + 1)
        assert end.recv(1) == b""


class Refusing(socket.socket):
    def _accept(self) -> tuple[int, object]:
        raise OSError(EMFILE, os.strerror(EMFILE))


def test_without_descriptors_it_rests_until_the_next_tick(
    control: tuple[Scripted, Control],
) -> None:
    scripted, made = control
    real = made.questions._listener
    made.questions._listener = Refusing(fileno=real.fileno())
    with connect(*control) as end:
        scripted.supervisor.wait(0.0)
        assert made.questions._listener.fileno() not in scripted.supervisor.loop
        made.questions._listener.detach()
        made.questions._listener = real
        end.sendall(b'{"ask":"status"}\n')
        scripted.tick()
        scripted.supervisor.wait(0.0)
        assert end.recv(4096)
