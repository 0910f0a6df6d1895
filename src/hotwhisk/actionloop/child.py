"""
Start a program that answers requests, exchange lines with it, and end it.

One `poll` waits for its response, its exit and its output, in this order. The order matters: the
kernel checks the descriptors one after another. So output that was written before a response is
found by the same call that finds the response, and is copied before the run's log ends.

The program stays in the worker's process group, so a kill of the group ends it too. The worker is a
child subreaper: when the program ends, the worker ends all processes that the program started, even
those in sessions of their own.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import signal

from hotwhisk.actionloop.relay import Relay, unread
from hotwhisk.system.children import ExitStatus, end_orphans
from hotwhisk.system.features import PIPE_SIZE, PR_SET_CHILD_SUBREAPER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from hotwhisk.system.loop_protocol import Callback, Loop

RESULTS: Final = 3
"""The descriptor to which a program writes its responses."""

READ_SIZE: Final = 65536
MOST_ANSWER: Final = 256 << 20

NOTHING: Final = memoryview(b"")
"""Empty: nothing of the request is left to write."""

_PAGE: Final = 4096
_ACKNOWLEDGING: Final = 5
"""Milliseconds in which a program may still write an acknowledgement that was not required."""

_DYING: Final = 100
"""Milliseconds that a program may take to exit after its pipes have closed."""

_DEFAULTS: Final = (signal.SIGPIPE, signal.SIGXFSZ)
"""Signals that Python ignores. A program gets the default actions."""


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
    """A running program. It inherits the output streams, or ``relay`` copies its output here."""

    def __init__(self, path: str, environ: Mapping[str, str], *, relay: bool) -> None:
        """
        Start the program at ``path``, in the current folder.

        Raises:
            OSError: it cannot be started.
        """
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._ending: ExitStatus | None = None
        self._killed = False
        """Whether the program ended because we killed it."""
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

    def watch(self, loop: Loop, ended: Callback) -> None:
        """Copy the program's output, and call ``ended`` at its exit, between requests too."""
        self._loop = loop
        loop.watch(self._pidfd, ended)
        if self._relay is not None:
            self._relay.watch(loop)

    # -- readiness --------------------------------------------------------------------------

    def wait_acknowledgement(self) -> bytes:
        """
        Return the first line that the program writes.

        Raises:
            ChildEnded: the program ended before that.
        """
        return self._line()

    def wait_reading(self) -> None:
        """
        Wait until the program reads requests; discard an acknowledgement that was not required.

        Every request begins with the same byte. It is written ahead, into a pipe that is made so
        small that this byte fills it. If the pipe has room again, the program has begun to read.

        Raises:
            ChildEnded: the program ended before that.
        """
        _resize(self._requests, _PAGE)
        self._write(memoryview(b"{"))  # the pipe may have no reader any more
        self._withheld = True
        self._poll.register(self._requests, select.POLLOUT)
        acknowledged = False
        while True:
            ready = self._read_ready(None)
            acknowledged = acknowledged or self._results in ready
            if ready.get(self._requests, 0) & ~select.POLLOUT:  # the pipe has no reader any more
                raise self._closed("its standard input before it read a request")
            if self._requests in ready:
                break
        self._poll.unregister(self._requests)
        _resize(self._requests, PIPE_SIZE)
        if not acknowledged:
            self._read_ready(_ACKNOWLEDGING)
        self._taken.clear()

    # -- requests ---------------------------------------------------------------------------

    def is_in_sync(self) -> bool:
        """
        Return whether the program runs and has written nothing beyond its responses.

        A further line would be taken for the response to the next request.
        """
        try:
            self._read_ready(0)
        except ChildEnded:
            return False
        if not self._asked:
            self._taken.clear()
        return not self._taken

    def request(self, request: bytes) -> bytes:
        """
        Send a request, which is one line; return the response, which is one line.

        Raises:
            ChildEnded: the program ended without a response.
        """
        if self._withheld:
            request, self._withheld = request[1:], False
        self._asked = True
        self._sent = 0
        rest = self._write(memoryview(request))
        if rest:
            self._poll.register(self._requests, select.POLLOUT)
        line = self._line(rest)
        if unread(self._requests) == self._sent > 0:  # it answers something else
            raise self._ended("it answered without reading the request", untouched=True)
        return line

    def _line(self, rest: memoryview = NOTHING) -> bytes:
        """Wait for a whole line, and send the ``rest`` of a request meanwhile."""
        taken, at = self._taken, 0
        while (end := taken.find(b"\n", at)) < 0:
            at = len(taken)
            if at > MOST_ANSWER:
                raise self._ended(f"its answer has no end after {MOST_ANSWER >> 20} MB")
            ready = self._read_ready(None)
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
        except BrokenPipeError:  # it may have read enough to answer
            return data[:0]
        self._sent += length
        return data[length:]

    def _read_ready(self, milliseconds: int | None) -> dict[int, int]:
        """
        Wait for a response, the exit or output; read them; return the ready descriptors.

        A response is read before the exit is noticed: it counts even if the program exited after
        it.
        """
        ready = dict(self._poll.poll(milliseconds))
        if self._results in ready or self._pidfd in ready:
            try:
                data = os.read(self._results, READ_SIZE)
            except BlockingIOError:
                data = b""
            if not data:  # without descriptor 3 it cannot answer any more
                raise self._closed("descriptor 3, where it answers")
            self._taken += data
        if self._relay is not None:
            self._relay.copy_ready(ready)
        return ready

    # -- the end ----------------------------------------------------------------------------

    def reap(self) -> None:
        """Reap orphans of the program that have exited by themselves."""
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            if ended.si_pid == self.pid:
                return
            os.waitpid(ended.si_pid, os.WNOHANG)

    def end(self) -> ExitStatus:
        """Kill the program and all that it started. Return how it ended."""
        if self._ending is None:
            options = os.WEXITED | os.WNOHANG | os.WNOWAIT
            alive = os.waitid(os.P_PIDFD, self._pidfd, options) is None
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            result = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED)
            assert result is not None
            self._ending = ExitStatus.of_result(result)
            self._killed = alive and self._ending.signal == signal.SIGKILL
            end_orphans(lambda _: True)
            self._unread = unread(self._requests)
            if self._loop is not None:
                self._loop.unwatch(self._pidfd)
            os.close(self._pidfd)
            self._close()
        return self._ending

    def _ended(self, reason: str, *, untouched: bool = False) -> ChildEnded:
        """End the program; return its end as an error, with ``reason`` if we ended it."""
        ending = self.end()
        return ChildEnded(ending, reason if self._killed else "", untouched=untouched)

    def _closed(self, what: str) -> ChildEnded:
        """Return the end of a program that has closed a pipe. As a rule it has exited by itself."""
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
    """Set how much a pipe holds. If that is refused, responses are slower, but not wrong."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, size)
    except OSError:
        pass
