"""
A hotwhisk server for one action, which only the gateway can call.

The gateway opens the port and passes it on, so no call is refused while the server starts, and no
other process can take the port. A token keeps other users of the machine out. Only the gateway and
the server know it: it is in no file and in no list of arguments.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from contextlib import ExitStack
from typing import Final

from hotwhisk.errors import StartError
from hotwhisk.gateway.log import log_event
from hotwhisk.gateway.runtimes.launcher import Launched, Launcher
from hotwhisk.gateway.runtimes.memory_limits import MemoryLimit, MemoryLimits
from hotwhisk.gateway.runtimes.shared_log import SharedLog
from hotwhisk.platform.action import Limits
from hotwhisk.platform.logs import LogStream
from hotwhisk.platform.runtime import Runtime
from hotwhisk.system.removal import remove

_BACKLOG: Final = 1024
_LOG_SECONDS: Final = 2.0
MOST_WORKERS: Final = 32
"""
Most workers of a server whose action allows several runs at a time, as in the image.

Runs of a synchronous handler overlap only in different processes.
"""
MOST_LOG: Final = 32 << 20
"""Bytes of a log that wait to be read; what an action prints beyond that in one run is dropped."""


class ForkedServer(Runtime):
    """
    A ``hotwhisk serve --openwhisk`` that takes every version of one action.

    If the action allows one run at a time, the invoker reads its ``logs``. Otherwise that is None,
    and each run reads its part of ``shared_log``.
    """

    lives_on = True
    listens = True

    def __init__(self, launcher: Launcher, limits: MemoryLimits) -> None:
        super().__init__()
        self.shared_log = SharedLog()
        self._path = ""
        self._memory = 0
        self._workers = 1
        self._overlaps = False
        self._launcher = launcher
        self._limits = limits
        self._limit = MemoryLimit()
        self._folder = ""
        self._process: Launched | None = None
        self._stream: LogStream | None = None
        self._stopping = threading.RLock()

    @property
    def pid(self) -> int | None:
        """The id of the server's process; None if it is not started."""
        return self._process.pid if self._process is not None else None

    def prepare(self, limits: Limits, path: str) -> None:
        """
        Set the limits and the full name of the action that runs next.

        A server that was started with another limit of memory or of workers is ended, and one whose
        run folder was removed; the next call starts it.
        """
        workers = min(limits.concurrency, MOST_WORKERS)
        with self._stopping:  # several calls of one version may come at the same moment
            same = (self._memory, self._workers) == (limits.memory, workers)
            if self.started and not (same and os.path.isdir(self._folder)):
                self.stop()
            self._path = path
            self._memory, self._workers = limits.memory, workers
            self._overlaps = limits.concurrency > 1
        self._choose_log()

    def stop(self) -> None:
        """Remove the server at once. Any thread may do it."""
        with self._stopping:
            super().stop()

    def discard(self) -> None:
        """Remove the server, or let the other calls that it runs come to their end before that."""
        if self._overlaps:
            self.discarded = True
        else:
            self.stop()

    def out_of_memory(self) -> bool:
        """Return whether the kernel ended the server or a process of it for lack of memory."""
        return self._limit.exhausted()

    def ended(self) -> str:
        """Return "ended" if it has ended by itself."""
        return "ended" if self._process is not None and self._process.ended else ""

    def _start(self) -> None:
        try:
            with ExitStack() as undo:
                self._launch(undo)
                undo.pop_all()
        except OSError as error:
            raise StartError(f"no server can be started: {error.strerror}") from None
        assert self._process is not None
        self._log(f"started (process {self._process.pid})")
        self._choose_log()

    def _launch(self, undo: ExitStack) -> None:
        """Start the process; ``undo`` gets what must be undone if that fails."""
        self.token = secrets.token_urlsafe(32)
        self._limit = self._limits.create(self._memory)
        undo.callback(self._limits.remove, self._limit)
        self._folder = self._launcher.make_folder()
        undo.callback(remove, self._folder)
        ends = []
        with ExitStack() as both:
            for _ in range(2):
                reading, writing = os.pipe()
                undo.callback(os.close, reading)
                both.callback(os.close, writing)
                ends.append((reading, writing))
            listener = both.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            listener.listen(_BACKLOG)
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            given = [*(writing for _, writing in ends), listener.fileno()]
            self._process = self._launcher.start(
                self.token, self._workers, self._limit, self._folder, given
            )
        undo.callback(self._process.end, self._limit)
        (out, _), (err, _) = ends
        self._stream = LogStream(out, err, most=MOST_LOG)

    def _stop(self) -> None:
        assert self._process is not None
        pid = self._process.pid
        self._process.end(self._limit)
        self._process = None
        if self._stream is not None:
            self._stream.wait_end(_LOG_SECONDS)
        self._limits.remove(self._limit)
        remove(self._folder)  # it was killed, so it has not removed what it had unpacked
        self._log(f"ended (process {pid})")

    def _log(self, event: str) -> None:
        log_event(f"server of {self._path} {event}", action=self._path)

    def _choose_log(self) -> None:
        """Have either the invoker read the log, or the runs that overlap."""
        self.logs = None if self._overlaps else self._stream
        if self._stream is not None and self._overlaps:
            self.shared_log.follow(self._stream)

    def _pause(self) -> None:
        """Do nothing: an idle server takes no processor time."""

    def _resume(self) -> None:
        """Do nothing, like the pause."""
