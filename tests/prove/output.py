"""Prove that unread output delays nothing, and that each printed line is in the log."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tests.process import control
from tests.support import sinks
from tests.support.client import Connection, init_once, run_once
from tests.support.server import Server
from tests.support.sinks import Sink

from .outcome import Outcome

SENTINEL = b"XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"
DEADLINE = 1.0
WITHIN = 2.0
"""Seconds that each step may take, without the deadline if it waits for one."""

SERVE = ("--openwhisk", "--timeout", str(DEADLINE), "--crash-count", "1000")
AGAIN = {"PROXY_ALLOW_REINIT": "1", "PYTHONUNBUFFERED": ""}

WAYS = """
import ctypes, faulthandler, logging, os, signal, subprocess, sys, time

def main(event):
    {"print": lambda: print("line"),
     "write": lambda: sys.stdout.write("line\\n"),
     "bytes": lambda: sys.stdout.buffer.write(b"line\\n"),
     "log": lambda: logging.warning("line"),
     "stderr": lambda: print("line", file=sys.stderr),
     "c": lambda: ctypes.CDLL(None).printf(b"line\\n"),
     "child": lambda: subprocess.run(["echo", "line"]),
     "flood": lambda: print("line\\n" * 100_000, end=""),
     "nothing": lambda: None,
     "part": lambda: print("line", end="", flush=True),
     "part of a child": lambda: subprocess.run(["printf", "line"]),
    }[event.get("say", "nothing")]()
    {"return": lambda: None,
     "hang": lambda: time.sleep(60),
     "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
     "os._exit": lambda: os._exit(3),
     "crash": lambda: ctypes.string_at(0),
     "abort": lambda: os.abort(),
    }[event.get("end", "return")]()
    return {"version": VERSION}
"""

WHOLE = ("print", "write", "bytes", "log", "stderr", "c", "child")
PARTS = ("part",)
CHILD_PART = "part of a child"
"""
A last line of a child, without its line break. The server looks at what was written only after a
death, and only in streams where it can.
"""

ENDS = ("return", "hang", "SIGKILL", "os._exit", "crash", "abort")


def source(version: int) -> str:
    """Return an action that prints, and then ends, in the ways that the event names."""
    return WAYS.replace("VERSION", str(version))


def ignore_unread(rounds: int = 10) -> Outcome:
    """Call, exceed deadlines, replace and stop while stdout and stderr are full."""
    outcome = Outcome(f"{rounds} rounds each on a full pipe and a full socket")
    worst: dict[str, float] = {}
    for name, kind in sinks.UNREAD.items():
        with kind() as sink, Server(*SERVE, env=AGAIN, output=sink.writing) as server:
            server.post(source(1))
            for version in range(2, rounds + 2):
                with outcome.trying(f"{name}, round {version - 1}"):
                    _round(server, sink, version, outcome, worst)
            dropped = control.status(server)["dropped"]
            outcome.expect(dropped["sentinels"] >= 3 * rounds, f"{name}: status says {dropped}")
            sink.taken = b""
            run_once(server.address, {})
            text = sink.read_until(lambda taken: taken.endswith(2 * (SENTINEL + b"\n")))
            outcome.expect(_is_whole(text), f"{name}: a sentinel is not a line: {text[-200:]!r}")
            sink.fill()
            began = time.monotonic()
            server.terminate()
            outcome.expect(server.wait(10.0) == 0, f"{name}: it did not stop")
            worst["stopped"] = max(worst.get("stopped", 0.0), time.monotonic() - began)
    for what, took in worst.items():
        outcome.expect(took < WITHIN + DEADLINE, f"{what} after {took:.2f} s")
    outcome.result = ", ".join(f"{what} within {took:.2f} s" for what, took in worst.items())
    return outcome


def _round(
    server: Server, sink: Sink, version: int, outcome: Outcome, worst: dict[str, float]
) -> None:
    def timed(what: str, action: Callable[[], object]) -> None:
        began = time.monotonic()
        action()
        worst[what] = max(worst.get(what, 0.0), time.monotonic() - began)

    def call(event: dict[str, str]) -> None:
        answer = run_once(server.address, event)
        outcome.expect_version(f"a call {event}", answer, version - 1)

    sink.read()
    sink.fill()
    timed("called", lambda: call({}))
    timed("called", lambda: call({}))
    with Connection(server.address) as flooding:
        flooding.send_run({"say": "flood"})
        timed("told of the deadline", lambda: _expect_late(flooding, outcome))
    with Connection(server.address) as flooding:
        flooding.send_run({"say": "flood"})
        timed("replaced", lambda: _replace(server, version, outcome))
        _expect_late(flooding, outcome)


def _expect_late(connection: Connection, outcome: Outcome) -> None:
    answer = connection.read_response()
    outcome.expect(answer.error, f"a handler that waits to print: {answer.status} {answer.body!r}")


def _replace(server: Server, version: int, outcome: Outcome) -> None:
    answer = init_once(server.address, source(version))
    outcome.expect(answer.status == 200, f"/init: {answer.body!r}")


def _is_whole(text: bytes) -> bool:
    """Return whether each sentinel in a log is a line of its own."""
    return all(line == SENTINEL for line in text.split(b"\n") if b"XXX_" in line)


def keep_lines(rounds: int = 1, late: Sequence[str] = ()) -> Outcome:
    """
    Try each way to print, before each way to end, in each kind of stream.

    If ``late`` is given, only these ways to print are tried before the end that waits for a
    deadline.
    """
    outcome = Outcome(f"{rounds} times every way to print before every way to end")
    found = calls = 0
    for name, kind in sinks.KINDS.items():
        with kind() as sink, Server(*SERVE, env=AGAIN, output=sink.writing) as server:
            server.post(source(1))
            for end in ENDS * rounds:
                for say in ("nothing", *WHOLE, *_parts(name, end)):
                    if end == "hang" and late and say not in late:
                        continue
                    calls += 1
                    with outcome.trying(f"{name}, {say}, {end}"):
                        found += _keep(server, sink, say, end, outcome, name)
    outcome.result = f"{found} of {calls} activations have their line, and no empty one"
    return outcome


def _parts(name: str, end: str) -> tuple[str, ...]:
    return PARTS if name == "socket" or end == "return" else (*PARTS, CHILD_PART)


def _keep(server: Server, sink: Sink, say: str, end: str, outcome: Outcome, name: str) -> bool:
    sink.read()
    sink.taken = b""
    with Connection(server.address) as connection:
        connection.send_run({"say": say, "end": end})
        connection.read_response()
    text = sink.read_until(lambda taken: taken.count(SENTINEL + b"\n") == 2)
    lines = text.decode().splitlines()
    rest = [line for line in lines if line.encode() != SENTINEL]
    wanted = [] if say == "nothing" else ["WARNING:root:line" if say == "log" else "line"]
    return outcome.expect(
        rest == wanted and len(lines) == 2 + len(wanted),
        f"{name}: {say} before {end}: {text!r}",
    )
