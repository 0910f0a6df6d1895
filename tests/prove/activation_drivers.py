"""
Drive each kind of activation.

Most are driven by the invoker alone, some by a caller that does what no invoker does, or by
something that happens between two runs. A driver carries out one event, or more if the next
activation has to show the effect, and returns how many activations that was.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from hotwhisk.platform.action import run_body
from tests.support.waiting import wait_gone
from tests.support.wire import post

from .activation_container import ANSWER_TIMEOUT, STREAMS, Container
from .activation_kinds import lines, word
from .activation_record import brief, log_differences
from .activation_requests import (
    argument,
    bad_body,
    come,
    odd_context,
    second_init,
    unknown_route,
)
from .activation_rules import Event, Expected, Trace, expect, lines_of

GRACE = 2.0
"""Seconds that a run may go on after its deadline; then its process is killed."""

RESET = struct.pack("ii", 1, 0)


def invoke(host: Container, event: Event) -> int:
    """Let the invoker make the activation, as the platform does."""
    host.invoke(event)
    return 1


def plain(host: Container, say: list[tuple[str, str]] | None = None) -> Event:
    """Return an ordinary event, to check that the action works."""
    pieces = lines(host.random) if say is None else say
    return {"do": "give", "id": word(host.random), "say": pieces, "names": ["__OW_ACTIVATION_ID"]}


# -- callers that give up -------------------------------------------------------------------


def request(host: Container, event: Event) -> tuple[bytes, Mapping[str, str]]:
    """Return a ``/run`` as bytes, and the environment that its run must find."""
    names = host.invoker.new_names()
    deadline = int(time.time() * 1000) + host.plan.timeout
    body = run_body(host.action, names, deadline, event)
    return post("/run", body, "Content-Type: application/json"), host.environment(names)


def open_to(host: Container) -> socket.socket:
    """Return a new connection."""
    parts = urlsplit(host.runtime.url)
    return socket.create_connection((parts.hostname, parts.port), ANSWER_TIMEOUT)


def hang_up(host: Container, end: socket.socket) -> None:
    """Close a connection, or reset it."""
    if host.random.random() < 0.5:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    end.close()


def give_up(host: Container, event: Event) -> int:
    """Disconnect during a run; the run goes on, and its log ends like any other."""
    before = Counter(host.logs.sentinels_read)
    asked = {**event, "at": host.meet.path}
    data, environment = request(host, asked)
    end = open_to(host)
    end.sendall(data)
    held = host.meet.wait_arrival(ANSWER_TIMEOUT)
    hang_up(host, end)
    held.release()
    come(host, before, 1, expect(asked, environment), asked)
    held.close()
    host.invoke(plain(host))
    return 2


def half_body(host: Container, event: Event) -> int:
    """Disconnect before the request is complete: nothing runs, nothing is logged."""
    before = Counter(host.logs.sentinels_read)
    data, _ = request(host, event)
    end = open_to(host)
    end.sendall(data[: host.random.randrange(1, len(data))])
    hang_up(host, end)
    host.invoke(plain(host))
    host.account(before, 1, event)
    return 2


# -- between two runs -----------------------------------------------------------------------


def kill_between(host: Container, event: Event) -> int:
    """Kill the process when it has answered: the next activation is not affected."""
    host.invoke({**event, "do": "report", "at": host.meet.path})
    held = host.meet.wait_arrival(ANSWER_TIMEOUT)
    held.close()
    os.kill(held.pid, signal.SIGKILL)
    host.note([] if wait_gone(held.pid, ANSWER_TIMEOUT) else ["it outlived kill -9"], event)
    host.invoke(plain(host))
    return 2


def speak_later(host: Container, event: Event) -> int:
    """
    Let a thread or a child write when its run is over: its lines belong to the next activation.

    A thread need not end its last line, since it writes through the streams of its process.
    """
    then = lines(host.random, ended=event["by"] == "child" or host.random.random() < 0.5)
    host.invoke({**event, "at": host.meet.path, "then": then})
    held = host.meet.wait_arrival(ANSWER_TIMEOUT)
    held.release()
    host.note([] if held.wait_gone(ANSWER_TIMEOUT) else ["nothing was printed later"], event)
    held.close()
    next_event = plain(host)
    before = Counter(host.logs.sentinels_read)
    record = host.invoke(next_event, settled=False)
    own = next_event["say"]
    assert isinstance(own, list)
    out, err = lines_of([*then, *own])
    logs = record["logs"]
    assert isinstance(logs, list)
    expected = Expected(0, None, out=out, err=err)
    host.note(log_differences(logs, expected, (), merged=host.merged), next_event)
    host.account(before, 1, next_event)
    return 2


def chat(host: Container, event: Event) -> int:
    """
    Let a thread print while its run and the next one end.

    Each run may have each line, but no byte is lost, and each sentinel is a line of its own.
    """
    before = Counter(host.logs.sentinels_read)
    first = host.invoke({**event, "say": []}, settled=False)
    second = host.invoke({"do": "fall silent", "id": word(host.random)}, settled=False)
    logs = [*first["logs"], *second["logs"]]  # type: ignore[misc]
    found = [line.partition("stdout: ")[2] for line in logs]
    wanted = [f"chat-{event['id']}-{number}-{'x' * 300}" for number in range(event["lines"])]  # type: ignore[call-overload]
    # The sentinel may have to end a line of which a buffer held only the beginning.
    same = "".join(found) == "".join(wanted)
    host.note([] if same else [f"chat: {brief(found)}, not {len(wanted)} lines"], event)
    host.account(before, 2, event)
    return 2


# -- time-outs ------------------------------------------------------------------------------


def hang(host: Container, event: Event) -> int:
    """
    Make a run that never ends.

    The invoker's own text stays, the process is killed when deadline and grace are past, and then
    the log is ended.
    """
    before, begun = Counter(host.logs.sentinels_read), time.monotonic()
    # A line without an end cannot be read before the sentinel ends it.
    begins = {name: _unended(event["say"], name) for name in STREAMS}
    whole = [*event["say"], *((name, "\n") for name, rest in begins.items() if rest)]  # type: ignore[misc]
    out, err = (
        lines[: -1 if begins[name] else None]
        for name, lines in zip(STREAMS, lines_of(whole), strict=True)
    )
    _time_out(host, event, out, err)
    rests = [(begins[name],) if begins[name] else () for name in STREAMS]
    come(host, before, 1, Expected(2, None, out=rests[0], err=rests[1]), event)
    took, least = time.monotonic() - begun, host.plan.timeout / 1000 + GRACE
    host.note([] if took > least - 0.1 else [f"killed after {took:.2f} s"], event)
    host.invoke(plain(host))
    return 2


def _unended(pieces: object, stream: str) -> str:
    """Return what follows the last newline of a stream."""
    assert isinstance(pieces, list)
    text = "".join(text for name, text in pieces if name == stream)
    return text.rpartition("\n")[2].strip()


def dawdle(host: Container, event: Event) -> int:
    """Make a run that ends late, but within the grace: its process is not killed."""
    before = Counter(host.logs.sentinels_read)
    out, err = lines_of(event["say"])
    _time_out(host, event, out, err)  # each line is in the log when it is printed
    come(host, before, 1, Expected(2, None), event)
    host.invoke(plain(host))
    return 2


def _time_out(
    host: Container, event: Event, out: tuple[str, ...], err: tuple[str | Trace, ...]
) -> None:
    text = f"The action exceeded its time limits of {host.plan.timeout} milliseconds."
    expected = Expected(2, {"error": text}, None, out, err, sentinels=0, timed_out=True)
    host.invoke(event, replace(expected, sentinels=0))


DRIVERS: dict[str, Callable[[Container, Event], int]] = {
    each.__name__: each
    for each in (
        invoke, argument, bad_body, unknown_route, second_init, odd_context, give_up, half_body,
        kill_between, speak_later, chat, hang, dawdle,
    )
}  # fmt: skip
