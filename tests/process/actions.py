"""Sources that stop, or end, at a step that the test chooses."""

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


_STEPS_IN_PARTS = """
def main(event):
    if event.get("steps"):
        arm(event["steps"])
    if event.get("token") != "a":
        yield {"version": VERSION, "pid": os.getpid(), "token": event.get("token")}
        return
    for n in range(3):
        yield {"n": n, "token": "a"}
"""


def plain(version: int) -> str:
    """
    Return an action that answers its version, pid and token, and waits if the event names a
    rendezvous.
    """
    return _HOLD + _ANSWER % version


def held_at_import(version: int, at: str) -> str:
    """Return an action that waits at a rendezvous while it is imported, as long as there is one."""
    return f"{_HOLD}\nif os.path.exists({at!r}):\n    meet({at!r})\n{_ANSWER % version}"


def held_in_ready(version: int, at: str) -> str:
    """Return an action that waits at a rendezvous when it starts, before its first request."""
    return f"{_HOLD}\nimport hotwhisk\n@hotwhisk.on_startup\ndef ready():\n    meet({at!r})\n{_ANSWER % version}"


def held_after_ready(version: int, at: str) -> str:
    """Return an action that waits at a rendezvous as soon as its process has sent READY."""
    return _HOLD + _SENT % at + _ANSWER % version


def stepping(version: int) -> str:
    """
    Return an action whose process is killed so many steps after the handler as the
    event says.
    """
    return f"VERSION = {version}\n" + _HOLD + _COUNT + _STEPS


def stepping_async(version: int) -> str:
    """Return the same action with a coroutine."""
    return stepping(version).replace("def main(", "async def main(")


def stepping_parts(version: int) -> str:
    """
    Return an action that yields three parts to a caller with the token "a", and one to any other;
    its process is killed so many steps after the handler as the event says.
    """
    return f"VERSION = {version}\n" + _HOLD + _COUNT + _STEPS_IN_PARTS


def stepping_parts_async(version: int) -> str:
    """Return the same action with an asynchronous generator."""
    return stepping_parts(version).replace("def main(", "async def main(")


def stepping_in_ready(version: int, steps: int, token: str) -> str:
    """Return an action whose first process is killed so many steps after its startup function."""
    ready = f"\nimport hotwhisk\n@hotwhisk.on_startup\ndef ready():\n    if not spent({token!r}):\n        arm({steps})\n"
    return _HOLD + _COUNT + ready + _ANSWER % version


RAISED = "raised from outside"

_INTERRUPTING = """
import os, signal, time

def handler(number, frame):
    raise ValueError({raised!r})

def main(event):
    if "signal" in event:
        signal.signal(signal.Signals["SIG" + event["signal"]], handler)
    if "within" in event:
        signal.setitimer(signal.ITIMER_REAL, event["within"])
        time.sleep(30)
    return {{"version": {version}, "pid": os.getpid()}}
"""

_RAISING = """
import sys

left = 0

def count(frame, event, arg):
    global left
    left -= 1
    if left == 0:
        sys.setprofile(None)
        raise ValueError({raised!r})

def main(event):
    global left
    reached = left <= 0
    if event.get("raise"):
        left = event["raise"]
        sys.setprofile(count)
    elif event.get("reached"):
        sys.setprofile(None)
    return {{"version": {version}, "token": event.get("token"), "reached": reached}}
"""

_THROWN = """
import ctypes, os, threading, time

main_thread = threading.main_thread().ident

def throw(every):
    while True:
        time.sleep(every)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(main_thread), ctypes.py_object(TimeoutError)
        )

def main(event):
    if "every" in event:
        threading.Thread(target=throw, args=(event["every"],), daemon=True).start()
    return {{"version": {version}, "token": event.get("token"), "pid": os.getpid()}}
"""


def interrupting(version: int) -> str:
    """
    Return an action with a signal handler that raises; the event may set a timer within
    its run.
    """
    return _INTERRUPTING.format(version=version, raised=RAISED)


def raising(version: int) -> str:
    """Return an action in whose process something raises so many steps after the handler."""
    return _RAISING.format(version=version, raised=RAISED)


def thrown_by_thread(version: int) -> str:
    """
    Return an action with a thread that raises an exception in the main thread, again
    and again.
    """
    return _THROWN.format(version=version)


_BLOCKING = """
import ctypes, os, re, signal, socket, sys, threading, time
try:
    import asyncio
except ImportError:
    pass

def meet(path, wait=False):
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(path)
        end.sendall(str(os.getpid()).encode())
        if wait:
            end.recv(1)

def regex():
    re.match("(a+)+$", "a" * 60 + "b")

def loop(number, frame):
    meet(PATH)
    while True:
        pass

def after_a_while(path, function, *arguments):
    time.sleep(0.02)
    meet(path)
    function(*arguments)

def in_task(path):
    meet(path)
    time.sleep(60)

def {prefix}main(event):
    global PATH
    how, path = event.get("block"), event.get("at")
    if "hold" in event:
        meet(event["hold"], wait=True)
    if "sleep" in event:
        time.sleep(event["sleep"])
    if how == "thread":
        sys.setswitchinterval(60)
        threading.Thread(target=after_a_while, args=(path, spin), daemon=True).start()
    if how == "regex":
        threading.Thread(target=after_a_while, args=(path, regex), daemon=True).start()
    if how == "c call":
        sleep = ctypes.PyDLL(None).sleep
        threading.Thread(target=after_a_while, args=(path, sleep, 60), daemon=True).start()
    if how == "signal handler":
        PATH = path
        signal.signal(signal.SIGALRM, loop)
        signal.setitimer(signal.ITIMER_REAL, 0.02)
    if how == "task":
        asyncio.get_running_loop().call_later(0.02, in_task, path)
    return {{"version": {version}, "pid": os.getpid(), "token": event.get("token")}}

def spin():
    while True:
        pass
"""


def blocking(version: int, prefix: str = "") -> str:
    """Return an action that blocks its process after an answer, in the way that the event says."""
    source = _BLOCKING.format(version=version, prefix="")
    return source.replace("def main(", f"{prefix}def main(")
