"""Wait with a deadline until processes have ended, are stopped or idle."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import struct
import termios
import time
from collections.abc import Callable


def wait_exit(pidfd: int, timeout: float) -> bool:
    """Return whether the process behind ``pidfd`` ended within ``timeout`` seconds."""
    return bool(select.select([pidfd], [], [], max(0.0, timeout))[0])


def wait_gone(pid: int, timeout: float) -> bool:
    """Return whether the process ``pid`` ended within ``timeout`` seconds."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return wait_exit(pidfd, timeout)
    finally:
        os.close(pidfd)


def stop(pid: int, timeout: float = 10.0) -> None:
    """Send SIGSTOP and wait until the process has stopped, which takes a moment."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + timeout
    while _state(pid) not in "TZ":
        assert time.monotonic() < deadline, f"{pid} is not stopped within {timeout} s"
        select.select([], [], [], 0.001)


def stop_idle(pid: int, timeout: float = 10.0) -> None:
    """
    Stop a process once it sleeps.

    A worker has then answered, and has released its claim on the connection as well.
    """
    wait_idle(pid, timeout)
    stop(pid, timeout)


def wait_idle(pid: int, timeout: float = 10.0) -> None:
    """Wait until the process sleeps: a worker that has nothing left to do."""
    deadline = time.monotonic() + timeout
    while _state(pid) != "S":
        assert time.monotonic() < deadline, f"{pid} does not come to rest"


def wait_read(connection: socket.socket, pid: int, timeout: float = 10.0) -> None:
    """Wait until the process has read all that was sent on the connection, and sleeps."""
    deadline = time.monotonic() + timeout
    while struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))[0]:
        assert time.monotonic() < deadline, f"{pid} does not read what was sent"
        select.select([], [], [], 0.001)
    wait_idle(pid, timeout)


def _state(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


def wait_few(living: Callable[[], set[int]], most: int, timeout: float) -> set[int]:
    """
    Wait until ``living()`` holds at most ``most`` pids; return what it held last.

    Each turn sleeps on the pidfds of all living processes, so it wakes when one of them ends.
    """
    deadline = time.monotonic() + timeout
    while len(pids := living()) > most and time.monotonic() < deadline:
        pidfds = []
        for pid in pids:
            try:
                pidfds.append(os.pidfd_open(pid))
            except ProcessLookupError:
                continue
        try:
            # A zombie's pidfd stays readable until it is reaped; the short pause keeps this
            # loop from spinning on one.
            ended, _, _ = select.select(pidfds, [], [], max(0.0, deadline - time.monotonic()))
            if ended:
                select.select([], [], [], 0.005)
        finally:
            for pidfd in pidfds:
                os.close(pidfd)
    return pids
