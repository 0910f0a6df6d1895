"""
A runtime that is a process of this machine: any command that serves the interface.

The platform freezes and removes whole containers. Here that is a tree of processes. It is stopped
from the root down, and read again until no new process appears, because a stopped process cannot
fork. A process that lost its parent is no longer in the tree, but still in the session that the
command was started in.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from hotwhisk.platform.runtime import Runtime, is_readable, spawn

_LOG_SECONDS = 2.0
_ENV = "/usr/bin/env"
_PROC = Path("/proc")


class ProcessRuntime(Runtime):
    """
    A command whose output is the log.

    ``{port}`` in the command is replaced by the port, which is also in the variable ``PORT``.
    Without ``port`` a free one is chosen. ``env`` is added to our own environment.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        port: int = 0,
        env: Mapping[str, str] | None = None,
        folder: str | None = None,
    ) -> None:
        super().__init__()
        self._command = list(command)
        self._port = port
        self._env = dict(env or {})
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The id of the process that was started."""
        assert self._process is not None, "not started"
        return self._process.pid

    def terminate(self) -> None:
        """Ask the process to leave, as Kubernetes does before it removes a pod."""
        os.kill(self.pid, signal.SIGTERM)

    def wait(self, timeout: float) -> int:
        """Wait until the process has ended by itself; return its status as `subprocess` does."""
        assert self._process is not None, "not started"
        return self._process.wait(timeout)

    def ended(self) -> str:
        """Return how the process has ended by itself."""
        assert self._process is not None, "not started"
        code = self._process.poll()
        return "" if code is None else f"status {code}"

    def _start(self) -> None:
        port = self._port or free_port()
        self.url = f"http://127.0.0.1:{port}"
        # env(1) adds to the environment and becomes the command, under the same pid.
        variables = [f"{name}={value}" for name, value in {"PORT": port, **self._env}.items()]
        words = [word.replace("{port}", str(port)) for word in self._command]
        self._process, self.logs = spawn([_ENV, *variables, *words], self._folder)

    def _stop(self) -> None:
        assert self._process is not None
        if self._process.poll() is None:  # otherwise another process may have its pid now
            end_all(freeze(self.pid))
        self._process.wait()
        while left := orphans(self.pid):
            end_all(left)
        if self.logs is not None:
            self.logs.wait_end(_LOG_SECONDS)

    def _pause(self) -> None:
        freeze(self.pid)

    def _resume(self) -> None:
        for pid in reversed(tree(self.pid)):
            _send(pid, signal.SIGCONT)


def freeze(root: int) -> list[int]:
    """Stop a process and all its descendants; return them, the root first."""
    frozen: list[int] = []
    while fresh := [pid for pid in tree(root) if pid not in frozen]:
        for pid in fresh:
            _send(pid, signal.SIGSTOP)
        frozen += fresh
    return frozen


def end_all(pids: list[int]) -> None:
    """Kill processes and wait until each has ended. Their parents reap them."""
    ends = []
    for pid in pids:
        try:
            ends.append(os.pidfd_open(pid))
        except ProcessLookupError:
            continue
    for pid in pids:
        _send(pid, signal.SIGKILL)
    for end in ends:
        is_readable(end)
        os.close(end)


def tree(root: int) -> list[int]:
    """Return a process and its descendants, parents before children."""
    children: dict[int, list[int]] = {}
    for process in _processes():
        children.setdefault(process.parent, []).append(process.pid)
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def orphans(leader: int) -> list[int]:
    """
    Return the processes that still run in the session of a process that was waited for.

    Return nothing if another process has its pid now. That cannot be while a process is in that
    session.
    """
    if (_PROC / str(leader)).exists():
        return []
    return [each.pid for each in _processes() if each.session == leader and each.state != "Z"]


def is_stopped(pid: int) -> bool:
    """Return whether a signal or a debugger has stopped a process."""
    return any(each.state in ("T", "t") for each in _processes() if each.pid == pid)


def free_port() -> int:
    """
    Return a port on which no process listens now.

    Another process may take it before it is used; for a command that must be given a number there
    is no better way. It lies below the range of ports that connections use, which would be the
    likeliest conflict.
    """
    while True:
        port = 10_000 + secrets.randbelow(22_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class _Process(NamedTuple):
    """The beginning of a line of ``/proc/PID/stat``, without its name."""

    pid: int
    state: str
    parent: int
    group: int
    session: int


def _processes() -> Iterator[_Process]:
    """Return all processes at this moment."""
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            except OSError:
                continue  # it has ended
            yield _Process(int(entry.name), fields[0], *map(int, fields[1:4]))


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
