"""
A program that was started to answer requests: its process, its pipes, its end.

One `poll` waits for its answers, its death and its output, in this order. The order matters: the
kernel looks at descriptors one after another, so output that was written before an answer is
seen by the same look that sees the answer, and is passed on before the end of the run is.

The program stays in the worker's process group, so that whatever ends the worker ends it too.
And the worker adopts orphans: when the program is ended, so is all that it started, whether in
sessions of their own or not.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import signal
from typing import TYPE_CHECKING, Final

from hotwhisk.actionloop.relay import Relay, unread
from hotwhisk.system.children import ExitStatus, end_orphans
from hotwhisk.system.features import PR_SET_CHILD_SUBREAPER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hotwhisk.system.loop import Callback, Loop

RESULTS: Final = 3
"""The descriptor on which a program answers."""

PIPE_SIZE: Final = 1 << 20
"""Bytes that a pipe holds, where that much is permitted."""

READ_SIZE: Final = 65536
MOST_ANSWER: Final = 256 << 20

NOTHING: Final = memoryview(b"")
"""What remains of a request that was sent whole."""

_PAGE: Final = 4096
_SETTLING: Final = 5
"""Milliseconds for an acknowledgement that nobody asked for."""

_DYING: Final = 100
"""Milliseconds that a program may take to die after its pipes have closed."""

_DEFAULTS: Final = (signal.SIGPIPE, signal.SIGXFSZ)
"""Signals that Python ignores, and that a program expects to be as they always are."""


class ChildEnded(Exception):
    """
    The program has ended, or the server ended it because it could not answer.

    If the server ended it, ``reason`` says why. If the program left the request ``untouched``,
    which means unread, another program may have the request.
    """

    def __init__(self, ending: ExitStatus, reason: str = "", *, untouched: bool = False) -> None:
        super().__init__(reason or str(ending))
        self.ending = ending
        self.reason = reason
        self.untouched = untouched


class Child:
    """A running program. Its output is the server's own, or with ``relay`` passes through here."""

    def __init__(self, path: str, environ: Mapping[str, str], *, relay: bool) -> None:
        """
        Start it, in the current folder.

        Raises:
            OSError: it cannot be started.
        """
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._ending: ExitStatus | None = None
        self._killed = False
        """Return whether the program ended because we killed it."""
        self._loop: Loop | None = None
        self._taken = bytearray()
        self._withheld = self._asked = False
        self._sent = self._unread = 0
        self._poll = select.poll()
        self._results, results = os.pipe()
        requests, self._requests = os.pipe()
        for descriptor in (self._results, self._requests):
            os.set_blocking(descriptor, False)
            _resize(descriptor, PIPE_SIZE)
        self._poll.register(self._results, select.POLLIN)
        self._relay = Relay(self._poll) if relay else None
        writing = self._relay.writing if self._relay is not None else {}
        theirs = {0: requests, **writing, RESULTS: results}
        try:
            self.pid = os.posix_spawn(
                path,
                [path],
                environ,
                file_actions=[(os.POSIX_SPAWN_DUP2, its, at) for at, its in theirs.items()],
                setsigdef=_DEFAULTS,
            )
        except OSError:
            self._close()
            raise
        finally:
            for descriptor in theirs.values():
                os.close(descriptor)
        self._pidfd = os.pidfd_open(self.pid)
        self._poll.register(self._pidfd, select.POLLIN)

    def attend(self, loop: Loop, ended: Callback) -> None:
        """Pass the program's output on and notice its death, between requests as well."""
        self._loop = loop
        loop.watch(self._pidfd, ended)
        if self._relay is not None:
            self._relay.attend(loop)

    # -- beginning --------------------------------------------------------------------------

    def wait_acknowledgement(self) -> bytes:
        """
        The first line that it says.

        Raises:
            ChildEnded: it never will.
        """
        return self._line()

    def wait_reading(self) -> None:
        """
        Wait until it reads requests. What it says meanwhile is an acknowledgement that nobody
        asked for, and is thrown away.

        Every request begins with the same byte. That goes ahead, into a pipe made so small that
        it is full with it: when there is room again, somebody has begun to read.

        Raises:
            ChildEnded: it never will.
        """
        _resize(self._requests, _PAGE)
        self._write(memoryview(b"{"))  # into a pipe that may have no reader any more
        self._withheld = True
        self._poll.register(self._requests, select.POLLOUT)
        heard = False
        while True:
            ready = self._listen(None)
            heard = heard or self._results in ready
            if ready.get(self._requests, 0) & ~select.POLLOUT:  # nobody has it to read any more
                raise self._closed("its standard input before it read a request")
            if self._requests in ready:
                break
        self._poll.unregister(self._requests)
        _resize(self._requests, PIPE_SIZE)
        if not heard:
            self._listen(_SETTLING)
        self._taken.clear()

    # -- requests ---------------------------------------------------------------------------

    def is_in_step(self) -> bool:
        """
        Whether it lives and has said nothing that it was not asked for: what a program says
        beyond its answer would be taken for the next one.
        """
        try:
            self._listen(0)
        except ChildEnded:
            return False
        if not self._asked:
            self._taken.clear()
        return not self._taken

    def ask(self, request: bytes) -> bytes:
        """
        One request, as a line; its answer, as a line.

        Raises:
            ChildEnded: there will be none.
        """
        if self._withheld:
            request, self._withheld = request[1:], False
        self._asked = True
        self._sent = 0
        rest = self._write(memoryview(request))
        if rest:
            self._poll.register(self._requests, select.POLLOUT)
        line = self._line(rest)
        if unread(self._requests) == self._sent > 0:  # so it answers something else
            raise self._ended("it answered without reading the request", untouched=True)
        return line

    def _line(self, rest: memoryview = NOTHING) -> bytes:
        """Wait for a whole line, and send the ``rest`` of a request meanwhile."""
        taken, at = self._taken, 0
        while (end := taken.find(b"\n", at)) < 0:
            at = len(taken)
            if at > MOST_ANSWER:
                raise self._ended(f"its answer has no end after {MOST_ANSWER >> 20} MB")
            ready = self._listen(None)
            if rest and self._requests in ready:
                rest = self._write(rest)
                if not rest:
                    self._poll.unregister(self._requests)
        if rest:
            self._poll.unregister(self._requests)
        line = bytes(taken[: end + 1])
        del taken[: end + 1]
        return line

    def _write(self, data: memoryview) -> memoryview:
        """Send the bytes that the pipe takes, and return the remaining bytes."""
        try:
            length = os.write(self._requests, data)
        except BlockingIOError:
            return data
        except BrokenPipeError:  # it may have read enough, and answer
            return data[:0]
        self._sent += length
        return data[length:]

    def _listen(self, milliseconds: int | None) -> dict[int, int]:
        """
        Wait for anything, and take what came.

        Answers first, also from the dead: one that died after its answer has answered.
        """
        ready = dict(self._poll.poll(milliseconds))
        if self._results in ready or self._pidfd in ready:
            try:
                data = os.read(self._results, READ_SIZE)
            except BlockingIOError:
                data = b""
            if not data:  # whatever it goes on with, it cannot answer
                raise self._closed("descriptor 3, where it answers")
            self._taken += data
        if self._relay is not None:
            self._relay.hear(ready)
        return ready

    # -- the end ----------------------------------------------------------------------------

    def reap(self) -> None:
        """Reap the processes that the program left to us and that have ended by themselves."""
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            if ended.si_pid == self.pid:
                return
            os.waitpid(ended.si_pid, os.WNOHANG)

    def end(self) -> ExitStatus:
        """End the program and all that it started; return how it ended, perhaps by itself."""
        if self._ending is None:
            look = os.WEXITED | os.WNOHANG | os.WNOWAIT
            alive = os.waitid(os.P_PIDFD, self._pidfd, look) is None
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            result = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED)
            assert result is not None
            self._ending = ExitStatus.of(result)
            self._killed = alive and self._ending.signal == signal.SIGKILL
            end_orphans(lambda _: True)
            self._unread = unread(self._requests)
            if self._loop is not None:
                self._loop.unwatch(self._pidfd)
            os.close(self._pidfd)
            self._close()
        return self._ending

    def _ended(self, reason: str, *, untouched: bool = False) -> ChildEnded:
        """End the program, and return how it ended: by itself, or by us for this reason."""
        ending = self.end()
        return ChildEnded(ending, reason if self._killed else "", untouched=untouched)

    def _closed(self, what: str) -> ChildEnded:
        """Return how a program ended that closed a pipe. As a rule it ended by itself."""
        dying = select.poll()
        dying.register(self._pidfd, select.POLLIN)
        dying.poll(_DYING)
        self.end()
        return self._ended(f"it closed {what}", untouched=self._unread == self._sent > 0)

    def _close(self) -> None:
        if self._relay is not None:
            self._relay.close()
        os.close(self._results)
        os.close(self._requests)


def _resize(descriptor: int, size: int) -> None:
    """Set how much a pipe holds; one that stays as it was costs speed, or knowledge, but no answer."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, size)
    except OSError:
        pass
