"""
Sources that stop, or end, at a step that the test chooses.
"""

from __future__ import annotations

_HOLD = """\
import os, signal, socket, sys

def meet(path):
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(path)
        end.sendall(str(os.getpid()).encode())
        end.recv(1)
"""

_ANSWER = """
def main(event):
    if "hold" in event:
        meet(event["hold"])
    return {"version": %d, "pid": os.getpid(), "token": event.get("token")}
"""

# A profile function sees every call and return in its thread, also those of the server's own
# code around the action: so the process can stop itself, or be killed, between any two of them.
_COUNT = """
def arm(steps):
    left = steps
    def count(frame, event, arg):
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.setprofile(count)

def spent(token):
    # One process only: its successor, which loads the same source, must live.
    try:
        os.unlink(token)
    except FileNotFoundError:
        return True
    return False
"""

_SENT = """
import hotwhisk

@hotwhisk.on_startup
def ready():
    def watch(frame, event, arg):
        if event == "c_return" and arg.__name__ in ("send", "sendmsg"):
            sys.setprofile(None)
            meet(%r)
    sys.setprofile(watch)
"""

_STEPS = """
def main(event):
    if "hold" in event:
        meet(event["hold"])
    if event.get("steps"):
        arm(event["steps"])
    return {"version": VERSION, "pid": os.getpid(), "token": event.get("token")}
"""


def plain(version: int) -> str:
    """
    Answers its version, pid and token; waits at a rendezvous if the event names one.
    """
    return _HOLD + _ANSWER % version


def held_at_import(version: int, at: str) -> str:
    """
    Waits at a rendezvous while it is imported, as long as there is one.
    """
    return f"{_HOLD}\nif os.path.exists({at!r}):\n    meet({at!r})\n{_ANSWER % version}"


def held_in_ready(version: int, at: str) -> str:
    """
    Waits at a rendezvous when it starts, before its first request.
    """
    return f"{_HOLD}\nimport hotwhisk\n@hotwhisk.on_startup\ndef ready():\n    meet({at!r})\n{_ANSWER % version}"


def held_after_ready(version: int, at: str) -> str:
    """
    Waits at a rendezvous as soon as its process has sent READY.
    """
    return _HOLD + _SENT % at + _ANSWER % version


def stepping(version: int) -> str:
    """
    Its process is killed so many steps after the handler as the event says.
    """
    return f"VERSION = {version}\n" + _HOLD + _COUNT + _STEPS


def stepping_async(version: int) -> str:
    """
    The same with a coroutine.
    """
    return stepping(version).replace("def main(", "async def main(")


def stepping_in_ready(version: int, steps: int, token: str) -> str:
    """
    Its first process is killed so many steps after what it does at its start.
    """
    ready = f"\nimport hotwhisk\n@hotwhisk.on_startup\ndef ready():\n    if not spent({token!r}):\n        arm({steps})\n"
    return _HOLD + _COUNT + ready + _ANSWER % version
