"""Check that nothing grows with replacements, and that nothing wakes up when idle."""

from __future__ import annotations

from dataclasses import dataclass

from tests.process import control
from tests.support import tree
from tests.support.actions import version_source
from tests.support.client import Connection
from tests.support.server import Server
from tests.support.waiting import wait_few, wait_idle

from .outcome import Outcome, connect

GROWTH_ALLOWED = 1 << 20
SETTLED_AFTER = 2.0


@dataclass(frozen=True)
class Footprint:
    """What a server holds, after the draining workers have ended."""

    processes: int
    threads: int
    descriptors: int
    files: int
    memory: int
    """See `tree.own_memory`."""


def measure(server: Server, most: int) -> Footprint:
    """Wait until at most ``most`` processes live and the server sleeps, then count."""
    living = wait_few(server.left, most, 10.0)
    wait_idle(server.pid)
    return Footprint(
        len(living),
        server.threads(),
        server.descriptors(),
        server.files(),
        tree.own_memory(server.tree()),
    )


def leak_nothing(server: Server, replacements: int = 1000, warm: int = 50) -> Outcome:
    """Replace ``warm`` times, measure, replace ``replacements`` times, measure again."""
    outcome = Outcome(f"{replacements} replacements")
    usual = 0
    before = after = None
    with connect(server) as kept, outcome.trying("replacing"):
        replace(kept, 1)
        usual = control.processes(server)
        for number in range(2, warm + 1):
            replace(kept, number)
        before = measure(server, usual)
        for number in range(warm + 1, warm + replacements + 1):
            replace(kept, number)
        after = measure(server, usual)
    if before is None or after is None:
        return outcome
    for name in ("processes", "threads", "descriptors", "files"):
        was, now = getattr(before, name), getattr(after, name)
        outcome.expect(now <= was, f"{name}: {was} before, {now} after")
    grown = after.memory - before.memory
    outcome.expect(grown <= GROWTH_ALLOWED, f"memory grew by {grown >> 10} KB")
    outcome.result = (
        f"{after.processes} processes, {after.threads} threads, {after.descriptors} descriptors, "
        f"{after.files} files, memory {grown / 1024:+.0f} KB "
        f"({grown / replacements:+.0f} bytes each)"
    )
    return outcome


def replace(kept: Connection, number: int) -> None:
    """Make one replacement and get one answer of the new version."""
    response = kept.init(version_source(number))
    answer = kept.run({}).json()
    if response.status != 200 or answer.get("version") != number:
        raise TimeoutError(f"replacement {number}: {response.status}, then {answer}")


def sleep_idle(server: Server, seconds: float = 30.0) -> Outcome:
    """After work, with kept connections open, check that no thread of any process wakes up."""
    outcome = Outcome(f"idle for {seconds:.0f} s with two connections open")
    with connect(server) as one, connect(server) as other:
        replace(one, 1)
        replace(other, 2)
        one.run({})
        # The time that passes is what is tested; the wait would end early if the server ended.
        server.wait(SETTLED_AFTER)
        before = tree.switches(server.left())
        server.wait(seconds)
        after = tree.switches(server.left())
        outcome.expect_version("afterwards", one.run({}), 2)
    outcome.expect(before.keys() == after.keys(), f"threads: {before.keys() ^ after.keys()}")
    woken = {who: after[who] - n for who, n in before.items() if after.get(who, n) != n}
    outcome.expect(not woken, f"woke up: {woken}")
    outcome.result = f"{sum(woken.values())} wake-ups in {len(after)} threads"
    return outcome
