"""
Accept connections that ask one small question each, and never wait for any of them.

The control socket and ``--admin`` use it. The supervisor answers on both, beside its other duties,
so everything here has a limit: the bytes of a question, the connections that are open, and the time
for a question and for its answer. One connection gets one answer. After the answer its end is
closed for writing, and what the client still sends is discarded until the client closes its end
too: the kernel would drop the answer if the socket were closed while bytes are unread.
"""

from __future__ import annotations

import _socket
import os
import sys
from collections.abc import Callable
from contextlib import suppress

from hotwhisk.supervisor.log_events import LogEvent
from hotwhisk.supervisor.parts import describe_bug
from hotwhisk.system.system import EXHAUSTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.supervisor.parts import Parts

LONGEST = 8192
"""Most bytes of a question."""

MOST_OPEN = 8
"""Most connections of one listener. One more closes the oldest of them."""

BACKLOG = 1024
"""Most connections that wait to be accepted. The kernel refuses further ones at once."""

TIME_LIMIT = 5.0
"""Seconds from the connection until the question must be complete; the same for the answer."""


class Question:
    """A connection from its first byte until it is closed after its answer."""

    def __init__(self, connection: _socket.socket, since: float, questions: Questions) -> None:
        self.connection = connection
        self.since = since
        """When the connection was accepted, or when its answer began."""
        self.received = b""
        self.ended = False
        """Whether the client sends no more."""
        self.answered = False
        self.unsent = b""
        """What is left of the answer."""
        self._descriptor = -1
        self._questions = questions

    @property
    def is_too_long(self) -> bool:
        """Return whether as many bytes have come as a question may have."""
        return len(self.received) >= LONGEST

    def read(self) -> bool:
        """Read what has come; return False if nothing has."""
        try:
            data = self.connection.recv(LONGEST)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        self.ended = not data
        if not self.answered:
            self.received += data
        return True

    def answer(self, data: bytes, descriptor: int = -1) -> None:
        """
        Answer, and close the connection, without waiting for a client that does not read.

        On a unix socket, a descriptor may go with the first bytes.
        """
        self.answered, self.unsent, self._descriptor = True, data, descriptor
        self._questions.send(self)

    def send_on(self) -> None:
        """
        Send what is left of the answer, as far as the client has read.

        Raises:
            OSError: nothing can be sent now, or at all.
        """
        passed = []
        if self._descriptor >= 0:
            rights = self._descriptor.to_bytes(4, sys.byteorder)
            passed = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)]
        sent = self.connection.sendmsg([self.unsent], passed, _socket.MSG_NOSIGNAL)
        self.unsent, self._descriptor = self.unsent[sent:], -1


class Questions:
    """
    The connections of a ``listener``, a socket that listens with the backlog `BACKLOG`.

    ``answer`` is called with a question whenever bytes of it have come. It returns False as long as
    the question is incomplete; else it calls `Question.answer`, now or later. If it raises an
    exception, that is logged, and ``failure`` is the answer.
    """

    def __init__(
        self,
        listener: _socket.socket,
        answer: Callable[[Question], bool],
        failure: bytes,
        parts: Parts,
    ) -> None:
        self._listener = listener
        self._answer = answer
        self._failure = failure
        self._log = parts.log
        self._loop = parts.loop
        self._now = parts.system.now
        self._open: dict[int, Question] = {}
        """Connections with an incomplete question or an unread answer, the oldest first."""
        listener.setblocking(False)
        self._loop.watch(listener.fileno(), self._accept)

    def expire(self, now: float) -> bool:
        """
        At a tick, close connections whose time is up, and try again to send what is unsent.

        Return whether any connection is still open.
        """
        for question in list(self._open.values()):
            if now - question.since > TIME_LIMIT:
                self._close(question)
            elif question.unsent:
                self._send_on(question)
        return bool(self._open)

    def close(self) -> None:
        """Stop listening, close every connection, and remove a unix socket."""
        for question in list(self._open.values()):
            self._close(question)
        self._loop.unwatch(self._listener.fileno())
        if self._listener.family == _socket.AF_UNIX:
            with suppress(OSError):  # it was removed already
                os.unlink(self._listener.getsockname())
        self._listener.close()

    def send(self, question: Question) -> None:
        """Begin to send the answer of a question."""
        question.since = self._now()
        self._keep(question)
        self._send_on(question)

    def _accept(self) -> None:
        try:
            descriptor, _ = self._listener._accept()  # type: ignore[attr-defined]
        except OSError as error:
            if error.errno in EXHAUSTED:
                self._make_room()
            return
        connection = _socket.socket(self._listener.family, _socket.SOCK_STREAM, 0, descriptor)
        connection.setblocking(False)
        if len(self._open) >= MOST_OPEN:
            self._make_room()
        question = Question(connection, self._now(), self)
        self._keep(question)
        self._go_on(question)

    def _make_room(self) -> None:
        """Close the oldest connection; if there is none, accept none until the next tick."""
        if self._open:
            self._close(next(iter(self._open.values())))
        else:
            self._loop.watch_later(self._listener.fileno())

    def _keep(self, question: Question) -> None:
        descriptor = question.connection.fileno()
        if descriptor not in self._open:
            self._open[descriptor] = question
            self._loop.watch(descriptor, lambda: self._go_on(question))

    def _forget(self, question: Question) -> None:
        descriptor = question.connection.fileno()
        del self._open[descriptor]
        self._loop.unwatch(descriptor)

    def _close(self, question: Question) -> None:
        self._forget(question)
        question.connection.close()

    def _go_on(self, question: Question) -> None:
        if question.connection.fileno() not in self._open or not question.read():
            return  # it was closed while its answer was sent on; or no byte has come
        if question.answered:
            if question.ended:
                self._close(question)
        elif self._is_complete(question):
            if not question.answered:
                self._forget(question)  # `send` takes it up again
        elif question.ended:
            self._close(question)

    def _is_complete(self, question: Question) -> bool:
        """Answer a question if all of it has come; return False if more of it must come."""
        try:
            return self._answer(question)
        except Exception:  # noqa: BLE001 - a bug of ours must not end the server
            self._log(describe_bug(), LogEvent.BUG)
            if not question.answered:
                question.answer(self._failure)
            return True

    def _send_on(self, question: Question) -> None:
        descriptor = question.connection.fileno()
        try:
            question.send_on()
            if not question.unsent:
                question.connection.shutdown(_socket.SHUT_WR)
        except BlockingIOError:
            pass
        except OSError:
            self._close(question)
            return
        waits = bool(question.unsent)
        self._loop.watch_both(descriptor, (lambda: self._send_on(question)) if waits else None)


def listen_at_path(path: str) -> _socket.socket:
    """
    Return a unix socket that listens at ``path``, to which only this user can connect.

    `Questions.close` removes it.

    Raises:
        OSError: something is there already, or the system refuses the socket or its name.
    """
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(path)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    return listener
