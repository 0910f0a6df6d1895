"""
Write one line for Kubernetes that says why the server ended.

The kubelet shows what a container wrote to its termination message file. By default that is
``/dev/termination-log``, which the kubelet makes. If the file does not exist, nothing is written.
"""

from __future__ import annotations

import os
import stat

LONGEST = 4096
"""Most bytes that the kubelet keeps."""


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
