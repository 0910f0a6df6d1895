"""Measure what a container holds, at rest and in the same state each time."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.process.control import Status
from tests.support import tree
from tests.support.waiting import wait_few, wait_idle

from .activation_container import ANSWER_TIMEOUT, Container
from .activation_drivers import DRIVERS
from .activation_kinds import Kind
from .activation_together import run_each

SUPERVISOR_GROWTH = 256 << 10
"""
Bytes by which the supervisor may grow.

It handles only numbers and descriptors, and has as many after the warm-up as later. A few pages may
come from the layout of its heap.
"""


@dataclass(frozen=True)
class Footprint:
    """
    Sizes in bytes: resident of the supervisor, proportional of its workers together.

    ``descriptors`` counts them by what they are open on, without memory files. ``spare`` counts
    those that are kept for the next request that arrives in parts. Whether one has arrived so far
    is random, so ``most_spare`` limits them. That limit depends on the processes alone, not on
    what they have done.
    """

    processes: int
    threads: int
    descriptors: Counter[str]
    spare: int
    most_spare: int
    files: int
    supervisor: int
    workers: int

    def __str__(self) -> str:
        return (
            f"{self.processes} processes, {self.threads} threads, "
            f"{self.descriptors.total()} descriptors and {self.spare} spare of at most "
            f"{self.most_spare}, {self.files} files, "
            f"{self.supervisor >> 10} + {self.workers >> 10} KB"
        )


def measure(host: Container, kinds: list[Kind]) -> Footprint:
    """Run one of each kind, the same ones each time, those that kill first; then count, at rest."""
    usual, host.random = host.random, Random(0)
    order = sorted(kinds, key=lambda kind: kind.fatal, reverse=True)
    if host.plan.threads > 1:
        run_each(host, order)
    else:
        for kind in order:
            host.counts[kind.name] += DRIVERS[kind.driver](host, kind.event(host.random))
    host.random = usual
    found = host.settle()
    # Without the spare, which exits if it is not needed for a while.
    running = sum(each["state"] != "spare" for each in found["generation"]["workers"])
    usual_number = 1 + running + bool((found["template"] or {}).get("pid"))
    members = wait_few(host.left, usual_number, ANSWER_TIMEOUT)
    # It still has to close the connection that asked for the status.
    wait_idle(host.runtime.pid, ANSWER_TIMEOUT)
    workers = members - {host.runtime.pid}
    names = [name for pid in members for name in tree.descriptors(pid)]
    spare = {name for name in names if name.startswith("/memfd:")}
    return Footprint(
        len(members),
        sum(map(tree.threads, members)),
        Counter(_kind(name) for name in names if name not in spare),
        sum(name in spare for name in names),
        _most_spare(found),
        host.files(),
        _resident(host.runtime.pid),
        tree.pss(workers),
    )


def _kind(name: str) -> str:
    """Return what a descriptor is open on, without its number: ``socket:[1234]`` is a socket."""
    return re.sub(r":\[\d+\]$", "", name)


def _most_spare(found: Status) -> int:
    """
    Return how many descriptors of memory files there may be at rest.

    Each worker has an idle file and a reserve, and the supervisor has duplicates of both. The spare
    has an idle file, with a duplicate too. The supervisor alone has the artifact.
    """
    states = Counter(worker["state"] for worker in found["generation"]["workers"])
    return 2 * 2 * states["serving"] + 2 * states["spare"] + 1


def _resident(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def compare(name: str, growth: int, before: Footprint, after: Footprint) -> list[str]:
    """Return what has grown, as texts; ``growth`` bytes are allowed to the workers."""
    problems = [
        f"{name}: {what}: {was} before, {now} after"
        for what in ("processes", "threads", "files")
        if (was := getattr(before, what)) < (now := getattr(after, what))
    ]
    more, fewer = after.descriptors - before.descriptors, before.descriptors - after.descriptors
    if more.total() > fewer.total():
        problems.append(f"{name}: descriptors: {dict(more)} more, {dict(fewer)} fewer")
    if after.spare > after.most_spare:
        problems.append(f"{name}: {after.spare} memory files, not {after.most_spare} at most")
    for what, allowed in (("supervisor", SUPERVISOR_GROWTH), ("workers", growth)):
        grown = getattr(after, what) - getattr(before, what)
        if grown > allowed:
            problems.append(f"{name}: the memory of the {what} grew by {grown >> 10} KB")
    return problems


def leave(host: Container) -> None:
    """Stop the server: it must end with status 0, and leave nothing behind."""
    host.runtime.terminate()
    status = host.runtime.wait(ANSWER_TIMEOUT)
    host.note([] if status == 0 else [f"it left with {status}"], "SIGTERM")
    left = wait_few(host.left, 0, ANSWER_TIMEOUT)
    host.note([f"processes left: {left}"] if left else [], "SIGTERM")
    host.note([f"{host.files()} files left"] if host.files() else [], "SIGTERM")
