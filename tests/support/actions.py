"""Sources that the tests post: a versioned echo, and an action that does what its event says."""

from __future__ import annotations

_VERSION = """\
def main(event):
    return {"version": %d, "token": event.get("token")}
"""

_PUPPET = """\
import os
import signal
import socket
import sys

VERSION = %d


def meet(path):
    end = socket.socket(socket.AF_UNIX)
    end.connect(path)
    end.sendall(str(os.getpid()).encode())
    return end


def hold(event):
    meet(event["at"]).recv(1)


def spin(event):
    end = meet(event["at"])
    while True:
        pass


def stay(event):
    end = meet(event["at"])
    while True:
        signal.pause()


def segfault(event):
    import ctypes
    ctypes.string_at(0)


def exhaust(event):
    import resource
    resource.setrlimit(resource.RLIMIT_DATA, (256 << 20, 256 << 20))
    kept = []
    while True:
        kept.append(bytearray(16 << 20))


def fork(event):
    os.fork()


def leave_child(event):
    import multiprocessing
    context = multiprocessing.get_context("fork")
    context.Process(target=stay, args=(event,)).start()
    hold_until_seen(event)
    os.kill(os.getpid(), signal.SIGKILL)


def leave_daemon(event):
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        stay(event)
    hold_until_seen(event)
    os.kill(os.getpid(), signal.SIGKILL)


def hold_until_seen(event):
    meet(event["at"]).recv(1)


DOINGS = {
    "hold": hold,
    "spin": spin,
    "kill": lambda event: os.kill(os.getpid(), signal.SIGKILL),
    "_exit": lambda event: os._exit(3),
    "exit": lambda event: sys.exit(3),
    "abort": lambda event: os.abort(),
    "raise": lambda event: 1 / 0,
    "segfault": segfault,
    "exhaust": exhaust,
    "closerange": lambda event: os.closerange(0, 4096),
    "fork": fork,
    "child": leave_child,
    "daemon": leave_daemon,
}


def main(event):
    doing = event.get("do")
    if doing in DOINGS:
        DOINGS[doing](event)
    answer = {"version": VERSION, "pid": os.getpid(), "token": event.get("token")}
    if "size" in event:
        answer["text"] = "x" * event["size"]
    if "text" in event:
        answer["length"] = len(event["text"])
    return answer
"""


def version_source(number: int) -> str:
    """Return an action that answers with its version and the token it was sent."""
    return _VERSION % number


def puppet_source(number: int) -> str:
    """Return an action that also answers with its pid, and does what ``event["do"]`` names."""
    return _PUPPET % number
