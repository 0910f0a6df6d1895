"""
The socket on which ``hotwhisk status``, ``history`` and ``rollback`` ask a running server.

A unix stream socket in a folder that only its owner can enter, so it works from a shell on
the same machine and by ``docker exec``. One line of JSON each way:
``{"version": 1, "ask": "status" | "current" | "history" | "rollback" | "rollback_to"}``. The last
one has a ``generation`` too; it has a name of its own, so that an earlier server does not take it
for a roll-back by one version. With the answer to ``current`` comes a descriptor.
"""

from __future__ import annotations

import _socket
import json
from collections.abc import Callable, Mapping

from hotwhisk.config.addresses import CONTROL_VERSION
from hotwhisk.errors import StartError
from hotwhisk.server.questions import Question, Questions, listen_at_path
from hotwhisk.supervisor.commands import Requester, SendAnswer
from hotwhisk.system.removal import remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.supervisor.parts import Parts


FAILURE = "there is a bug in hotwhisk; the log of the server has it: please report it"


class ControlRequest(Requester):
    """A question on the control socket, until it is answered."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self.generation = 0
        """The generation that the question names; 0 if it names none."""

    def answer(self, value: dict[str, object], descriptor: int = -1) -> None:
        """Answer with one line of JSON, and with a descriptor if one is given."""
        self._question.answer(_encode(value), descriptor)

    def answered(self, answer: SendAnswer, generation: int) -> None:
        """Answer with the result of a replacement."""
        if answer.status == 200:
            self.answer({"version": CONTROL_VERSION, "ok": True, "generation": generation})
        else:
            self.answer({"version": CONTROL_VERSION, "ok": False, "error": answer.text})


class Control:
    """The listening socket. ``answers`` maps each question to the function that answers it."""

    def __init__(
        self, path: str, answers: Mapping[str, Callable[[ControlRequest], None]], parts: Parts
    ) -> None:
        self.path = path
        self._answers = answers
        failure = {"version": CONTROL_VERSION, "error": FAILURE}
        self.questions = Questions(_listen(path), self._answer, _encode(failure), parts)

    def close(self) -> None:
        """Stop listening, and remove the socket."""
        self.questions.close()

    def _answer(self, question: Question) -> bool:
        line, whole, _ = question.received.partition(b"\n")
        if not (whole or question.ended or question.is_too_long):
            return False
        request = ControlRequest(question)
        try:
            asked = json.loads(line)
            answer = self._answers[asked["ask"]]
            request.generation = _number(asked.get("generation", 0))
        except (ValueError, KeyError, TypeError, RecursionError):
            known = ", ".join(sorted(self._answers))
            request.answer({"version": CONTROL_VERSION, "error": f"ask one of: {known}"})
        else:
            answer(request)
        return True


def _encode(value: Mapping[str, object]) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _number(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is no number of a generation")
    return value


def _listen(path: str) -> _socket.socket:
    """
    Return a socket that listens at ``path``.

    Raises:
        StartError: the system refuses the socket, its name or its rights.
    """
    try:
        remove(path)  # only a killed server can have left it, because this server has the port
        return listen_at_path(path)
    except OSError as error:
        raise StartError(
            f"cannot make the control socket {path}: {error.strerror}; "
            "choose a writable folder with --run-dir"
        ) from error
