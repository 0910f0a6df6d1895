"""
The process of a worker: its standard streams, and the functions that end it.

An action may close its standard streams: a library closes `sys.stdout`, a daemon closes all
descriptors. Then the number goes to whatever is opened next, and in this process that may be the
connection of a client: the client would get what the action prints later. So a closed stream is
opened again before anything else can get its number.

An action may also point the streams elsewhere. But the reader of the log waits for the line that
ends an activation, so that line goes to the streams that the worker had when it started.
"""

from __future__ import annotations

import atexit
import fcntl
import select
import sys
from os import _exit, close, dup2, fstat, getpid
from select import POLLNVAL

from hotwhisk.action.signal_guard import enters_action
from hotwhisk.openwhisk.sentinels import bounded
from hotwhisk.system.output import Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import NoReturn

    from hotwhisk.system.output import StreamState

STANDARD = (0, 1, 2)


class Streams:
    """
    Holds duplicates of the standard descriptors, with numbers from ``lowest`` on.

    The action does not touch descriptors that high. ``states`` has the known state of each output
    stream.
    """

    def __init__(self, lowest: int, states: Mapping[int, StreamState]) -> None:
        self.kept = tuple(fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, lowest) for each in STANDARD)
        self.outputs = {
            number: Output(self.kept[number], state, lowest) for number, state in states.items()
        }
        self._poll = select.poll()
        for each in STANDARD:
            self._poll.register(each, 0)  # no event: a closed descriptor is reported always

    def descriptors(self) -> set[int]:
        """Return all descriptors of this object."""
        return {*self.kept, *(each.descriptor for each in self.outputs.values())}

    def close(self) -> None:
        """Close all descriptors of this object."""
        for output in self.outputs.values():
            output.close()
        for each in self.kept:
            close(each)

    def reopen_closed(self) -> None:
        """
        Open the standard streams again that the action has closed.

        This is called before any descriptor is received or made.

        Raises:
            OSError: the action has closed the duplicates too, so this worker must end.
        """
        try:
            found = self._poll.poll(0)
        except OSError:  # the action limits its descriptors to fewer than these three
            return
        for number, event in found:
            if event & POLLNVAL:
                dup2(self.kept[number], number)


class PipedStreams:
    """
    Leads the standard output streams into ``pipes`` until `restore`. It takes over the descriptors.

    ``lowest`` is the lowest number of a descriptor that the server opens in the worker.
    """

    def __init__(self, pipes: Sequence[int], lowest: int) -> None:
        flush()
        self._before: dict[int, int] = {}
        self._pipes: dict[int, tuple[int, int]] = {}
        for number, pipe in zip(STANDARD[1:], pipes, strict=True):
            self._before[number] = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, lowest)
            self._pipes[number] = _file_of(pipe)
            dup2(pipe, number)
            close(pipe)

    def restore(self) -> None:
        """Lead the streams where they led before, unless the action has led them elsewhere."""
        flush()
        for number, before in self._before.items():
            if _file_of(number) == self._pipes[number]:
                dup2(before, number)
            close(before)


def _file_of(descriptor: int) -> tuple[int, int]:
    """Return what identifies the file of a descriptor; two zeros if it is closed."""
    try:
        found = fstat(descriptor)
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


def flush() -> None:
    """Flush the action's output, because its lines belong to this run."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:  # the action may have closed or replaced the streams
            pass


def end_copy(pid: int) -> None:
    """
    End this process if it is a copy of process ``pid``.

    This is called when code of the action has returned. If the code has forked its process, it has
    returned in the copy too, and only the original goes on.
    """
    if getpid() != pid:
        with bounded():  # the log may have no reader
            flush()
        exit_now(0)


def exit_now(status: int) -> NoReturn:
    """End this process now, without any cleanup."""
    _exit(status)


def fail() -> NoReturn:
    """
    Print the exception that is being handled, and end this process with status 70.

    The action may have replaced `sys.excepthook`.
    """
    try:
        with bounded():  # the log may have no reader
            sys.excepthook(*sys.exc_info())
    finally:
        _exit(70)


@enters_action
def exit_gracefully(clean: Callable[[], object] = lambda: None) -> NoReturn:
    """
    End this process after the action's atexit functions, and call ``clean`` after them.

    The supervisor bounds their time.
    """
    try:
        atexit._run_exitfuncs()
    except BaseException:  # code of the action ran
        pass
    with bounded():
        flush()
    try:
        clean()
    finally:
        _exit(0)
