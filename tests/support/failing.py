"""
A server whose system calls fail in the kernel when a test says so; its code is unchanged.

The server runs under a filter of system calls that asks the test about each of them
(seccomp_unotify(2), Linux 5.5). The call that was ordered to fail returns an error, and the kernel
carries out all others. Only calls of the supervisor count, not those of its workers.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import socket
import struct
import sys
import threading
from collections import Counter
from collections.abc import Sequence

from . import seccomp
from .server import HOTWHISK, ROOT, Server

CALLS = (
    "accept4", "socketpair", "clone", "pidfd_open", "pidfd_send_signal", "waitid", "wait4", "kill",
    "epoll_ctl", "sendmsg", "sendto", "recvmsg", "recvfrom", "shutdown", "getsockopt",
    "setsockopt", "getsockname", "getpeername", "openat", "membarrier", "poll",
)  # fmt: skip
"""System calls about which the filter asks."""

RECEIVE, RESPOND = 0xC0502100, 0xC0182101
CONTINUE = 1
NOTIFICATION = struct.Struct("=QIIiIQ6Q")
RESPONSE = struct.Struct("=QqiI")
PIDFD_GETFD = 438


class Failing(Server):
    """
    A server with a method `fail`, which makes one system call fail.

    ``counts`` says how often the supervisor has made each call since ``counts`` was cleared.
    """

    def __init__(self, *arguments: str, calls: Sequence[str] = CALLS) -> None:
        ask = (sys.executable, str(ROOT / "tests" / "support" / "seccomp.py"), "ask", "listener")
        super().__init__(*arguments, command=(*ask, ",".join(calls), *HOTWHISK))
        self.command += ["--run-dir", str(self.run_dir)]
        self.counts: Counter[str] = Counter()
        self._names = numbers(calls)
        self._order: tuple[str, int, range] | None = None
        self._pipe = self.folder / "listener"
        os.mkfifo(self._pipe)

    def fail(self, call: str, error: int, nth: int = 1, times: int = 1) -> None:
        """
        Make the nth such call of the supervisor from now on fail, and the next ones, ``times`` in
        all.
        """
        self.counts.clear()
        self._order = (call, error, range(nth, nth + times))

    @property
    def has_failed(self) -> bool:
        """Return whether the call that was ordered to fail was made, and withdraw the order."""
        order, self._order = self._order, None
        return order is None

    def _start(self, listener: socket.socket) -> None:
        read = os.open(self._pipe, os.O_RDONLY | os.O_NONBLOCK)
        super()._start(listener)
        self._answering = threading.Thread(target=self._answer_all, args=(read,), daemon=True)
        self._answering.start()

    def _cleanup(self) -> None:
        super()._cleanup()
        self._answering.join(10.0)

    def _answer_all(self, read: int) -> None:
        """Answer until every process of the server has ended."""
        select.select([read], [], [])
        listener = take(self.pid, int(os.read(read, 16)))
        os.close(read)
        waiting = select.poll()
        waiting.register(listener, select.POLLIN)
        while not waiting.poll()[0][1] & select.POLLHUP:
            question = bytearray(NOTIFICATION.size)
            try:
                fcntl.ioctl(listener, RECEIVE, question)
                fields = NOTIFICATION.unpack(question)
                failing = self._judge(fields[1], fields[3])
                flags = 0 if failing else CONTINUE
                answer = RESPONSE.pack(fields[0], -1 if failing else 0, -failing, flags)
                fcntl.ioctl(listener, RESPOND, bytearray(answer))
            except FileNotFoundError:  # the process that asked has ended
                continue
        os.close(listener)

    def _judge(self, pid: int, number: int) -> int:
        """Return the error with which a call must fail, or 0 if it must not."""
        if pid != self.pid:
            return 0
        call = self._names[number]
        self.counts[call] += 1
        if self._order is None or self._order[0] != call or self.counts[call] not in self._order[2]:
            return 0
        _, failing, which = self._order
        if self.counts[call] == which[-1]:
            self._order = None
        return failing


def numbers(calls: Sequence[str] = CALLS) -> dict[int, str]:
    """Return the names of the calls by their numbers, without calls that this machine lacks."""
    resolve = seccomp.library().seccomp_syscall_resolve_name
    found = {resolve(name.encode()): name for name in calls}
    return {number: name for number, name in found.items() if number >= 0}


def take(pid: int, number: int) -> int:
    """
    Return a duplicate of another process's descriptor.

    Raises:
        OSError: the kernel refuses the duplicate.
    """
    pidfd = os.pidfd_open(pid)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        taken = int(libc.syscall(PIDFD_GETFD, pidfd, number, 0))
    finally:
        os.close(pidfd)
    if taken < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return taken
