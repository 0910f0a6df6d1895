"""
The socket on which ``hotwhisk status`` and ``rollback`` ask a running server.

A unix stream socket in a folder that only its owner can enter, so it works from a shell on
the same machine and by ``docker exec``. One line of JSON each way:
``{"version": 1, "ask": "status" | "rollback"}``.
"""

from __future__ import annotations

import _socket
import json
import os
from collections.abc import Callable

from hotwhisk.config.addresses import CONTROL_VERSION
from hotwhisk.errors import StartError
from hotwhisk.supervisor.commands import Reply, Requester
from hotwhisk.system.removal import remove
from hotwhisk.system.system import EXHAUSTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.supervisor.parts import Parts

LONGEST = 4096
"""Most bytes of a question. A connection that sends more is closed."""

MOST_OPEN = 16
"""Most connections with an incomplete question. One more closes the oldest of them."""

BACKLOG = 1024
"""Most connections that wait to be accepted. The kernel refuses further ones at once."""

TIME_LIMIT = 5.0
"""Seconds from the connection until the question must be complete."""


class ControlRequest(Requester):
    """A connection to the control socket, until it is answered."""

    def __init__(self, connection: _socket.socket, opened: float) -> None:
        self.connection = connection
        self.opened = opened
        self._read = b""

    def line(self) -> bytes | None:
        """Read from the socket; return the question when it is complete, None before."""
        try:
            received = self.connection.recv(LONGEST)
        except BlockingIOError:
            return None
        except OSError:
            return b""
        self._read += received
        line, whole, _ = self._read.partition(b"\n")
        if whole or not received:
            return line
        return b"" if len(self._read) >= LONGEST else None

    def answer(self, value: dict[str, object]) -> None:
        """Answer, and close the connection, without waiting for a client that does not read."""
        try:
            self.connection.send(json.dumps(value).encode() + b"\n", _socket.MSG_NOSIGNAL)
        except OSError:
            pass
        self.connection.close()

    def replied(self, reply: Reply, generation: int) -> None:
        """Answer with the result of a replacement."""
        if reply.status == 200:
            self.answer({"version": CONTROL_VERSION, "ok": True, "generation": generation})
        else:
            self.answer({"version": CONTROL_VERSION, "ok": False, "error": reply.text})


class Control:
    """The listening socket. ``answers`` maps each question to the function that answers it."""

    def __init__(
        self, path: str, answers: dict[str, Callable[[ControlRequest], None]], parts: Parts
    ) -> None:
        self.path = path
        self._answers = answers
        self._parts = parts
        self._open: dict[int, ControlRequest] = {}
        """Questions that are incomplete, by descriptor, the oldest first."""
        self._listener = _listen(path)
        parts.loop.watch(self._listener.fileno(), self._accept)

    def expire(self, now: float) -> bool:
        """Close connections whose time is up; return whether any question is still incomplete."""
        for question in list(self._open.values()):
            if now - question.opened > TIME_LIMIT:
                self._close(question)
        return bool(self._open)

    def close(self) -> None:
        """Stop listening, and remove the socket."""
        for question in list(self._open.values()):
            self._close(question)
        self._parts.loop.unwatch(self._listener.fileno())
        self._listener.close()
        try:
            os.unlink(self.path)
        except OSError:
            pass

    def _accept(self) -> None:
        try:
            descriptor, _ = self._listener._accept()  # type: ignore[attr-defined]
        except OSError as error:
            if error.errno in EXHAUSTED:
                self._make_room()
            return
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, descriptor)
        connection.setblocking(False)
        question = ControlRequest(connection, self._parts.system.now())
        if self._read(question):
            return
        if len(self._open) >= MOST_OPEN:
            self._make_room()
        self._open[connection.fileno()] = question
        self._parts.loop.watch(connection.fileno(), lambda: self._go_on(question))

    def _make_room(self) -> None:
        """
        Close the oldest connection with an incomplete question.

        If there is none, accept no connection until the next tick.
        """
        if self._open:
            self._close(next(iter(self._open.values())))
        else:
            self._parts.loop.watch_later(self._listener.fileno())

    def _go_on(self, question: ControlRequest) -> None:
        descriptor = question.connection.fileno()
        if self._read(question, descriptor):
            self._open.pop(descriptor)

    def _read(self, question: ControlRequest, watched: int = -1) -> bool:
        """Answer a question if it is complete; return False if it is not."""
        line = question.line()
        if line is None:
            return False
        self._parts.loop.unwatch(watched)
        self._ask(question, line)
        return True

    def _ask(self, question: ControlRequest, line: bytes) -> None:
        try:
            answer = self._answers[json.loads(line)["ask"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            known = ", ".join(sorted(self._answers))
            question.answer({"version": CONTROL_VERSION, "error": f"ask one of: {known}"})
        else:
            answer(question)

    def _close(self, question: ControlRequest) -> None:
        descriptor = question.connection.fileno()
        del self._open[descriptor]
        self._parts.loop.unwatch(descriptor)
        question.connection.close()


def _listen(path: str) -> _socket.socket:
    """
    Return a socket that listens at ``path``.

    Raises:
        StartError: the system refuses the socket, its name or its rights.
    """
    try:
        listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        remove(path)  # only a killed server can have left it, because this server has the port
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(BACKLOG)
    except OSError as error:
        raise StartError(
            f"cannot make the control socket {path}: {error.strerror}; "
            "choose a writable folder with --run-dir"
        ) from error
    listener.setblocking(False)
    return listener
