"""
Make a hundred thousand activations through the model of the invoker, with faults among them.

Several containers run at once, as on a host: each is a server of its own with its own invoker, log
and seed. `activation_rules` computes the expected result of each activation, and the whole record
is compared. The sentinels are counted on both streams each time, also after a process died. What
the containers hold is measured after a warm-up and at the end.
"""

from __future__ import annotations

import secrets
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from hotwhisk.platform import LogRule

from .activation_action import OVERLAPPING, SOURCE
from .activation_container import Container, Plan
from .activation_drivers import DRIVERS, plain
from .activation_footprint import Footprint, compare, leave, measure
from .activation_kinds import BESIDE, FATAL, HARMLESS, OVERLAP, SLOW, SMALL, THROWN, Kind, draw
from .activation_together import GIVEN_UP_AFTER, run_together
from .outcome import Outcome

# A kill between runs counts as a crash of the version, and three of them in ten seconds as a loop.
# Here the test causes them, as often as the seed says.
NO_LOOP = ("--crash-count", "1000000")

FILES = ("--connections", "328")
"""
As many connections as the platform's limit of 1024 open files allows.

The supervisor gives its connections numbers in turn, so its tables have been used completely after
the first 328.
"""

CONCURRENT = {"__OW_ALLOW_CONCURRENT": "true"}
ONE = ("--workers", "1")
"""A caller that gives up leaves its run behind, and a further worker would take the next call."""


@dataclass(frozen=True)
class Part:
    """A container's plan, its kinds of activations, and how they are carried out."""

    plan: Plan
    kinds: list[Kind]
    carry_out: Callable[[Container, list[Kind], int], None]
    measured: bool = True


def one_by_one(host: Container, kinds: list[Kind], count: int) -> None:
    """Make ``count`` draws, and carry out each before the next."""
    for kind in draw(host.random, kinds, count):
        if len(host.problems) > GIVEN_UP_AFTER:
            return
        host.counts[kind.name] += DRIVERS[kind.driver](host, kind.event(host.random))


PARTS = (
    Part(
        Plan("docker", SOURCE, 0.28, serve=(*FILES, *NO_LOOP, *ONE)),
        HARMLESS + FATAL, one_by_one,
    ),
    Part(
        Plan("kubernetes", SOURCE, 0.26, LogRule.KUBERNETES, serve=(*FILES, *NO_LOOP, *ONE)),
        HARMLESS + FATAL, one_by_one,
    ),
    Part(
        Plan("one worker", SOURCE, 0.18, serve=(*FILES, *ONE), growth=1 << 20),
        SMALL, one_by_one,
    ),
    Part(
        Plan("two workers", SOURCE, 0.13, threads=4, serve=(*FILES, "--workers", "2"), env=CONCURRENT),
        BESIDE, run_together,
    ),
    Part(
        Plan("coroutines", OVERLAPPING, 0.13, threads=8, serve=(*FILES, *ONE), env=CONCURRENT),
        OVERLAP, run_together,
    ),
    Part(
        Plan("thrown away", SOURCE, 0.02, kept=False),
        THROWN, one_by_one, measured=False,
    ),
    Part(
        Plan("slow", SOURCE, 0.0001, timeout=3000, serve=(*FILES, *NO_LOOP)),
        SLOW, one_by_one, measured=False,
    ),
)  # fmt: skip


LONG_ENOUGH = 10_000
"""
Activations of a container after which what its workers hold is checked strictly.

With fewer, heaps still grow to their usual size (an arena for each thread that prints, for
example), and only larger growth is noticed.
"""

SHAPING = 16 << 20


class Progress:
    """The work of one container: warm up, measure, go on, measure again, stop."""

    def __init__(self, part: Part, total: int, seed: int) -> None:
        self.part = part
        self.count = max(len(part.kinds), round(total * part.plan.share))
        self.host = Container(part.plan, seed)
        self.before: Footprint | None = None
        self.after: Footprint | None = None

    def run(self) -> None:
        """Do all of it; if it cannot be carried out, that is a problem as well."""
        try:
            with self.host:
                self._work()
        except Exception as error:  # noqa: BLE001 - the error of a thread would otherwise be lost
            self.host.problems.append(f"{self.part.plan.name}: {type(error).__name__}: {error}")

    def _work(self) -> None:
        host, part = self.host, self.part
        DRIVERS["invoke"](host, plain(host))  # /init, and the port is open
        warm = self.count // 4
        part.carry_out(host, part.kinds, warm)
        if not part.measured:
            part.carry_out(host, part.kinds, self.count - warm)
            return
        self.before = measure(host, part.kinds)
        part.carry_out(host, part.kinds, self.count - warm)
        if len(host.problems) <= GIVEN_UP_AFTER:
            self.after = measure(host, part.kinds)
            growth = part.plan.growth if self.count >= LONG_ENOUGH else SHAPING
            host.problems += compare(part.plan.name, growth, self.before, self.after)
            leave(host)


def activate(activations: int = 100_000, seed: int | None = None) -> Outcome:
    """Make so many activations over all containers; ``seed`` repeats a run."""
    seed = secrets.randbelow(1 << 32) if seed is None else seed
    outcome = Outcome(f"{activations} activations in {len(PARTS)} containers, seed {seed}")
    began = time.monotonic()
    works = [Progress(part, activations, seed) for part in PARTS]
    threads = [threading.Thread(target=work.run, name=work.part.plan.name) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - began
    counts: Counter[str] = Counter()
    for work in works:
        counts += work.host.counts
        outcome.problems += work.host.problems
    done = counts.total()
    outcome.expect(done >= activations, f"{done} activations only")
    outcome.result = report(works, counts, took)
    return outcome


def report(works: list[Progress], counts: Counter[str], took: float) -> str:
    """Return how many of each kind, how fast, and what each container held before and after."""
    done = counts.total()
    kinds = ", ".join(f"{name} {count}" for name, count in counts.most_common())
    held = [
        f"{work.part.plan.name}: {work.before}\n  then {work.after}"
        for work in works
        if work.before is not None
    ]
    lines = [f"{done} compared, {done / took:.0f} a second", *textwrap.wrap(kinds, 100), *held]
    return "\n".join(lines)
