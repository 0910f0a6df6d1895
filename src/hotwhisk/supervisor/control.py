"""
The socket on which ``hotwhisk status`` and ``rollback`` ask a running server.

A unix stream socket in a folder that only its owner can enter, so it works from a shell on
the same machine and by ``docker exec``. One line of JSON each way:
``{"version": 1, "ask": "status" | "rollback"}``.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable

from hotwhisk.errors import StartError
from hotwhisk.supervisor.effects import Asker, Reply

VERSION = 1
LONGEST = 4096
"""Bytes of a question; a longer one is not ours."""


class Question(Asker):
    """Someone who asked, and waits."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def answer(self, value: dict[str, object]) -> None:
        """Answer, and hang up. Whoever does not read is not waited for."""
        try:
            self.connection.setblocking(False)
            self.connection.send(json.dumps(value).encode() + b"\n")
        except OSError:
            pass
        self.connection.close()

    def replied(self, reply: Reply, generation: int) -> None:
        """Answer with how a replacement ended."""
        if reply.status == 200:
            self.answer({"version": VERSION, "ok": True, "generation": generation})
        else:
            self.answer({"version": VERSION, "ok": False, "error": reply.text})


class Control:
    """The listening end. ``answers`` maps what can be asked to who answers it."""

    def __init__(self, path: str, answers: dict[str, Callable[[Question], None]]) -> None:
        self.path = path
        self._answers = answers
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            if os.path.exists(path):
                os.unlink(path)  # of a server that was killed; the port is ours, so is this
            self._listener.bind(path)
            os.chmod(path, 0o600)
        except OSError as error:
            raise StartError(
                f"cannot make the control socket {path}: {error.strerror}; "
                "choose a writable folder with --run-dir"
            ) from error
        self._listener.listen(16)
        self._listener.setblocking(False)

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._listener.fileno()

    def accept(self) -> Question | None:
        """Someone who wants to ask."""
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return None
        connection.setblocking(False)
        return Question(connection)

    def ask(self, question: Question) -> None:
        """Read a question whose line is there, and have it answered."""
        try:
            line = question.connection.recv(LONGEST)
        except OSError:
            line = b""
        try:
            asked = json.loads(line)["ask"]
            answer = self._answers[asked]
        except (ValueError, KeyError, TypeError, RecursionError):
            known = ", ".join(sorted(self._answers))
            question.answer({"version": VERSION, "error": f"ask one of: {known}"})
            return
        answer(question)

    def close(self) -> None:
        """Stop listening, and remove the socket."""
        self._listener.close()
        try:
            os.unlink(self.path)
        except OSError:
            pass
