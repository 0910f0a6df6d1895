"""Prove that a server survives an action that attacks it while it loads, serves and dies."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from tests.process import control
from tests.support import tree
from tests.support.client import Lost
from tests.support.hostile import Packets
from tests.support.hostile_action import hostile_source
from tests.support.server import NotReplaced, Server
from tests.support.waiting import wait_few, wait_gone
from tests.support.wire import ClientError

from .hostile import FIELDS
from .outcome import Outcome, ask, connect

T = TypeVar("T")

# The table is small, so that most words change a value that is used. Deaths of hostile workers must
# not count as a crash loop: a roll-back would put another current version than the expected one.
SERVE = (
    "--crash-count", "100000", "--connections", "32", "--drain-timeout", "2", "--workers", "2",
)  # fmt: skip
BUSY = 0.5
"""Seconds of processor time that a supervisor may use in a second without requests."""
SERVES_WITHIN = 5.0
STOPS_WITHIN = 8.0


def attack_from_inside(
    rounds: int = 100, packets: int = 1000, words: int = 1000, seed: int = 1
) -> Outcome:
    """
    Post a version in each round that attacks while it loads, serves, dies or is replaced.

    The version after it must serve. At the end the supervisor must sleep, and stop on SIGTERM.
    """
    outcome = Outcome(
        f"{rounds} rounds, each with {packets} packets and {words} words from inside, seed {seed}"
    )
    with Server(*SERVE) as server:
        attack_each_round(server, outcome, rounds, packets, words, seed)
        if not outcome.holds:
            outcome.problems.append(server.stderr()[-900:])
    return outcome


def attack_each_round(
    server: Server, outcome: Outcome, rounds: int, packets: int, words: int, seed: int
) -> None:
    """Run all rounds on one server."""
    source = Packets(seed, FIELDS, lambda: list(range(12)))
    server.replace(1)
    usual = control.processes(server)
    longest = 0.0
    for turn in range(rounds):
        attack = {
            "packets": [source.packet().decode("latin-1") for _ in range(packets)],
            "words": words,
            "seed": seed + turn,
        }
        moment = ("load", "serve", "die", "drain")[turn % 4]
        suffer(server, moment, attack)
        begun = time.monotonic()
        version = 2 * turn + 3
        with outcome.trying(f"round {turn}, {moment}"):
            try:
                until_answered(partial(server.replace, version), begun + SERVES_WITHIN)
            except NotReplaced as error:
                outcome.problems.append(f"round {turn}, {moment}: {error}")
            answer = until_answered(partial(ask, server), begun + SERVES_WITHIN)
            outcome.expect_version(f"round {turn}, {moment}", answer, version)
        longest = max(longest, time.monotonic() - begun)
        if server.process.poll() is not None or len(outcome.problems) > 5:
            break
    outcome.expect(longest < SERVES_WITHIN, f"the next version took {longest:.1f} s")
    outcome.result = f"the next version served within {longest * 1000:.0f} ms"
    if outcome.expect(server.process.poll() is None, "the server left"):
        rest(server, outcome, usual)


def until_answered(request: Callable[[], T], until: float) -> T:
    """
    Return the outcome of a request, which is sent again if its connection is closed unanswered.

    A version that attacks still runs until ``--drain-timeout``, and it may write into the row of
    any connection.
    """
    while True:
        try:
            return request()
        except Lost:
            if time.monotonic() > until:
                raise


def suffer(server: Server, moment: str, attack: dict[str, object]) -> None:
    """Let a version attack at ``moment``. The answers to its own callers are not checked."""
    try:
        if moment == "load":
            server.post(hostile_source(attack))
            return
        server.post(hostile_source())
        with connect(server) as first, connect(server) as second:
            first.run({})
            second.send_run({"sleep": 0.05})
            first.send_run({"attack": attack, "die": moment == "die"})
            if moment == "drain":
                server.replace(0)
            first.read_response(5.0)
    except (ClientError, TimeoutError, NotReplaced):
        pass


def rest(server: Server, outcome: Outcome, usual: int) -> None:
    """Expect that the supervisor sleeps, that no process is left, and that it stops on SIGTERM."""
    living = wait_few(server.left, usual, 10.0)
    outcome.expect(len(living) <= usual, f"{len(living)} processes, {usual} before")
    before = tree.cpu_seconds([server.pid])
    wait_gone(server.pid, 1.0)  # a second without requests
    used = tree.cpu_seconds([server.pid]) - before
    outcome.expect(used < BUSY, f"an idle supervisor used {used:.2f} s of a second")
    begun = time.monotonic()
    server.terminate()
    code = server.wait(STOPS_WITHIN)
    took = time.monotonic() - begun
    if outcome.expect(code == 0, f"SIGTERM: exit status {code} after {took:.1f} s"):
        outcome.result += f", and it stopped within {took * 1000:.0f} ms"
