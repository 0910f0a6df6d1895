"""
The source of the action that the activations run.

It prints what its event says, then does what the event says. The rules for both are in
`activation_rules`.
"""

from __future__ import annotations

SOURCE = '''\
import faulthandler
import os
import signal
import socket
import sys
import threading
import time
import zlib

chatting = []


def meet(path):
    end = socket.socket(socket.AF_UNIX)
    end.connect(path)
    end.sendall(str(os.getpid()).encode())
    return end


def say(pieces):
    for stream, text in pieces:
        getattr(sys, stream).write(text)


def say_now(pieces):
    say(pieces)
    sys.stdout.flush()
    sys.stderr.flush()


def give(event):
    names = event.get("names", ())
    return {
        "id": event["id"],
        "environment": [os.environ.get(name) for name in names],
        "given": event.get("given"),
    }


def fail(event):
    raise {"ValueError": ValueError, "KeyError": KeyError}[event["error"]](event["text"])


class Endless:
    pass


NO_RESULTS = {
    "nan": {"number": [float("nan")]},
    "infinity": [float("inf")],
    "set": {"set": {1}},
    "object": [Endless()],
    "cycle": [],
}
NO_RESULTS["cycle"].append(NO_RESULTS["cycle"])


def orphan(event):
    os.posix_spawn("/bin/sleep", ["sleep", "600"], os.environ)
    os.kill(os.getpid(), signal.SIGKILL)


def die(event):
    say_now(())
    DEATHS[event["by"]](event)


DEATHS = {
    "_exit": lambda event: os._exit(3),
    "kill": lambda event: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": lambda event: faulthandler._sigsegv(),
    "abort": lambda event: os.abort(),
    "orphan": orphan,
}


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def later(event):
    """
    Output that comes when this run is long over, from a thread or a child.
    """
    reap()
    say_now(())  # or a child would have what is in the buffer, too
    end = meet(event["at"])

    def speak():
        end.recv(1)
        say_now(event["then"])
        end.close()

    if event["by"] == "thread":
        threading.Thread(target=speak).start()
    elif os.fork() == 0:
        speak()
        os._exit(0)
    else:
        end.close()
    return give(event)


def chat(event):
    """
    A thread that goes on printing while this run ends and the next ones come.
    """
    sys.setswitchinterval(1e-6)  # what could come between two steps of the server shall come
    begun = threading.Event()

    def speak():
        for number in range(event["lines"]):
            print("chat", event["id"], number, "x" * 300, sep="-")
            if number == 3:
                begun.set()

    thread = threading.Thread(target=speak)
    chatting.append(thread)
    thread.start()
    begun.wait()
    return give(event)


def fall_silent(event):
    while chatting:
        chatting.pop().join()
    sys.setswitchinterval(0.005)
    return give(event)


def hold(event):
    """
    Stay until told to go on.
    """
    with meet(event["at"]) as end:
        end.recv(1)
    return give(event)


def report(event):
    """
    Say which process this is, without staying.
    """
    meet(event["at"]).close()
    return give(event)


def hang(event):
    say_now(())
    time.sleep(600)


DOINGS = {
    "give": give,
    "list": lambda event: [event["id"], event.get("given")],
    "tuple": lambda event: (event["id"], event.get("given")),
    "error": lambda event: {"id": event["id"], "error": event["given"]},
    "fail": fail,
    "bare": lambda event: event["given"],
    "unfit": lambda event: NO_RESULTS[event["which"]],
    "surrogate": lambda event: {"id": event["id"], "text": "half \\ud83d of it"},
    "exit": lambda event: sys.exit(event["given"]),
    "die": die,
    "big": lambda event: {"text": event["letter"] * event["count"]},
    "measure": lambda event: [len(event["blob"]), zlib.crc32(event["blob"].encode())],
    "later": later,
    "chat": chat,
    "fall silent": fall_silent,
    "hold": hold,
    "report": report,
    "hang": hang,
    "dawdle": lambda event: [time.sleep(event["seconds"]), event["id"]],
}


def main(event):
    say(event.get("say", ()))
    return DOINGS[event["do"]](event)
'''
"""A synchronous handler."""

OVERLAPPING = '''\
import asyncio
import os
import sys
import time

from hotwhisk import Context

# asyncio alone takes about as long as makes a template worth while: now there is one, now none.
while time.process_time() < 0.1:
    pass

NAN = float("nan")
waiting = []


async def gather(event):
    """
    Wait until as many runs as the event says are in here; the last one ends the process.
    """
    waiting.append(event)
    if len(waiting) == event["of"]:
        sys.stdout.flush()
        os._exit(3)
    await asyncio.sleep(600)


async def main(event: dict, context: Context):
    for stream, text in event.get("say", ()):
        getattr(sys, stream).write(text)
    if event["do"] == "gather":
        await gather(event)
    for _ in range(event.get("turns", 0)):
        await asyncio.sleep(0)
    return {
        "give": lambda: {
            "id": event["id"], "environment": [context.activation_id],
            "given": event.get("given"),
        },
        "list": lambda: [event["id"], event.get("given")],
        "error": lambda: {"id": event["id"], "error": event["given"]},
        "fail": lambda: {}[event["text"]],
        "bare": lambda: event["given"],
        "unfit": lambda: {"number": [NAN]},
        "surrogate": lambda: {"id": event["id"], "text": "half \\ud83d of it"},
        "exit": lambda: sys.exit(event["given"]),
        "big": lambda: {"text": event["letter"] * event["count"]},
    }[event["do"]]()
'''
"""A handler that runs many times at once."""
