"""
Tell a service manager the state of the server: systemd, s6, or the kubelet.

systemd gets datagrams (sd_notify(3)), s6 gets a line on a descriptor. If no manager is configured,
nothing is sent. If a message cannot be sent, the caller gets the error: without it a wrong socket
would look like success. `hotwhisk.config.platform` reads the variables. Child processes do not
inherit them.

The kubelet shows what a container wrote to its termination message file. By default that is
``/dev/termination-log``, which the kubelet makes. If the file does not exist, nothing is written.
"""

from __future__ import annotations

import _socket
import os
import stat
import time
from contextlib import closing

READY = "READY=1"
STOPPING = "STOPPING=1"
LONGEST = 4096
"""Most bytes that the kubelet keeps."""


def notify(address: str | None, *lines: str) -> str | None:
    """Send lines in one datagram; return the error as a text, or None for success."""
    if address is None:
        return None
    if address[0] not in "/@":
        return f'NOTIFY_SOCKET: expected a path or @name, got "{address}"'
    name = "\0" + address[1:] if address[0] == "@" else address
    try:
        with closing(_socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)) as out:
            out.setblocking(False)
            out.sendto("\n".join(lines).encode(), name)
    except OSError as error:
        return f"NOTIFY_SOCKET {address}: {error.strerror or error}"
    return None


def ready_lines(status: str) -> tuple[str, ...]:
    """Return the lines that report readiness, and the text that systemctl shows."""
    return READY, "STATUS=" + " ".join(status.split())


def reloading_lines() -> tuple[str, ...]:
    """Return the lines for the start of a replacement; `ready_lines` must follow."""
    return "RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"


def write_ready(descriptor: int | None) -> str | None:
    """Write one newline to an inherited descriptor and close it, as s6 expects."""
    if descriptor is None:
        return None
    try:
        os.write(descriptor, b"\n")
        os.close(descriptor)
    except OSError as error:
        return f"--ready-fd {descriptor}: {error.strerror}"
    return None


def write_termination_log(path: str | None, text: str) -> None:
    """Write one line to a file that exists and is writable; ignore every failure."""
    line = " ".join(f"hotwhisk: {text}".split()).encode(errors="replace")[: LONGEST - 1]
    try:
        descriptor = os.open(path or "", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, line + b"\n")
        finally:
            os.close(descriptor)
    except OSError:
        pass
