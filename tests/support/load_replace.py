"""Switch versions while the load runs: by POST /init, or by a command for foreign servers."""

from __future__ import annotations

import os
import select
import shlex
import socket
import subprocess
import time

from .actions import version_source
from .load import Plan, Result
from .wire import Malformed, Response, ResponseReader, init_request


class InitReplacer:
    """Posts the next version, in turns on one kept connection and on a new one."""

    def __init__(self, plan: Plan, epoll: select.epoll, result: Result) -> None:
        self.acknowledged = plan.first
        self._plan = plan
        self._epoll = epoll
        self._result = result
        self._kept: socket.socket | None = None
        self._used: socket.socket | None = None
        self._reader = ResponseReader()
        self._next = plan.first
        self._begun = 0.0

    @property
    def busy(self) -> bool:
        """Whether an /init is under way."""
        return self._used is not None

    def begin(self) -> None:
        """Post the next version."""
        self._next += 1
        self._begun = time.monotonic()
        self._reader = ResponseReader()
        if self._next % 2 and self._kept is not None:
            self._used = self._kept
        else:
            # The one blocking step of the loop: a connect on loopback and a small send.
            self._used = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._used.settimeout(self._plan.answer_timeout)
        try:
            if self._used is not self._kept:
                self._used.connect(self._plan.address)
            self._used.send(init_request(version_source(self._next)))
        except OSError as error:
            return self._finish(None, str(error))
        self._epoll.register(self._used.fileno(), select.EPOLLIN)
        return None

    def advance(self, fd: int) -> bool:
        """Read what came for the /init in flight."""
        if self._used is None or fd != self._used.fileno():
            return False
        try:
            data = self._used.recv(65536)
            self._reader.feed(data)
            response = self._reader.next()
        except (OSError, Malformed) as error:
            data, response = b"", None
            self._result.note(f"init {self._next}: {error}")
        if response is not None or not data:
            self._epoll.unregister(fd)
            self._finish(response, "no answer")
        return True

    def _finish(self, response: Response | None, why: str) -> None:
        took = time.monotonic() - self._begun
        self._result.longest_replacement = max(self._result.longest_replacement, took)
        if response is not None and response.status == 200:
            self.acknowledged = self._next
            self._result.replacements += 1
        else:
            self._result.failed_replacements += 1
            what = why if response is None else f"{response.status} {response.body[:120]!r}"
            self._result.note(f"init {self._next}: {what}")
        assert self._used is not None
        broken = response is None or response.closes
        if self._kept is None and not broken:
            self._kept = self._used
        elif broken and self._used is self._kept:
            self._kept = None
        if self._used is not self._kept:
            self._used.close()
        self._used = None


class CommandReplacer:
    """Runs the user's command for the next version; its exit status 0 is the acknowledgement."""

    def __init__(self, plan: Plan, epoll: select.epoll, result: Result) -> None:
        self.acknowledged = plan.first
        self._plan = plan
        self._epoll = epoll
        self._result = result
        self._process: subprocess.Popen[bytes] | None = None
        self._pidfd = -1
        self._next = plan.first
        self._begun = 0.0

    @property
    def busy(self) -> bool:
        """Whether the command runs."""
        return self._process is not None

    def begin(self) -> None:
        """Start the command."""
        self._next += 1
        self._begun = time.monotonic()
        words = shlex.split(self._plan.command.replace("{n}", str(self._next)))
        # Its output would mix with the result on stdout.
        self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self._pidfd = os.pidfd_open(self._process.pid)
        self._epoll.register(self._pidfd, select.EPOLLIN)

    def advance(self, fd: int) -> bool:
        """Record that the command has ended."""
        if self._process is None or fd != self._pidfd:
            return False
        self._epoll.unregister(fd)
        os.close(fd)
        status = self._process.wait()
        self._process = None
        took = time.monotonic() - self._begun
        self._result.longest_replacement = max(self._result.longest_replacement, took)
        if status == 0:
            self.acknowledged = self._next
            self._result.replacements += 1
        else:
            self._result.failed_replacements += 1
            self._result.note(f"replace command for {self._next}: exit status {status}")
        return True
