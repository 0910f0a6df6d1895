"""
Make many activations at a time, in a container that allows it.

A log that many runs write does not show which run wrote a line, and the platform does not collect
it. So each record is compared as a whole, and each batch by its sums: a sentinel on each stream for
each activation, and as many lines on standard output as were printed.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from .activation_container import ANSWER_TIMEOUT, STREAMS, Container
from .activation_kinds import GATHERING, Kind, draw, word
from .activation_record import Call, differences
from .activation_rules import Event, Expected, expect

BATCH = 64

GIVEN_UP_AFTER = 20
"""Most problems of one container; then it is stopped."""


def run_together(host: Container, kinds: list[Kind], count: int) -> None:
    """
    Make ``count`` activations in batches; if gatherings are among the kinds, some follow
    a batch.
    """
    single = [kind for kind in kinds if kind is not GATHERING]
    drawn = draw(host.random, single, count)
    with ThreadPoolExecutor(host.plan.threads) as pool:
        while count > 0 and len(host.problems) <= GIVEN_UP_AFTER:
            batch = [kind for kind, _ in zip(drawn, range(min(count, BATCH)), strict=False)]
            run_batch(host, pool, [kind.event(host.random) for kind in batch])
            host.counts.update(kind.name for kind in batch)
            count -= BATCH
            if GATHERING in kinds and host.random.random() < GATHERING.weight:
                host.counts[GATHERING.name] += gather(host, pool)


def run_each(host: Container, kinds: list[Kind]) -> None:
    """
    Make one activation of each kind, all at a time; a gathering, if it is among them,
    comes before.
    """
    single = [kind for kind in kinds if kind is not GATHERING]
    with ThreadPoolExecutor(host.plan.threads) as pool:
        if GATHERING in kinds:
            host.counts[GATHERING.name] += gather(host, pool)
        run_batch(host, pool, [kind.event(host.random) for kind in single])
        host.counts.update(kind.name for kind in single)


def gather(host: Container, pool: ThreadPoolExecutor) -> int:
    """
    Let some runs wait for one another in one process, then let it die: each of them is
    answered.
    """
    size = host.random.randrange(2, host.plan.threads + 1)
    event = GATHERING.event(host.random)
    run_batch(host, pool, [{**event, "of": size, "id": word(host.random)} for _ in range(size)])
    return size


def run_batch(host: Container, pool: ThreadPoolExecutor, events: list[Event]) -> None:
    """Make all at once, as far as the pool allows; then check the sums."""
    host.logs.settle()
    before = host.logs.lines_read["stdout"], Counter(host.logs.sentinels_read)
    expected = list(pool.map(lambda event: invoke(host, event), events, timeout=2 * ANSWER_TIMEOUT))
    host.logs.drain()
    sentinels = {name: host.logs.sentinels_read[name] - before[1][name] for name in STREAMS}
    if sentinels != dict.fromkeys(STREAMS, len(events)):
        host.note([f"sentinels: {sentinels}, not {len(events)} each"], [e["do"] for e in events])
    found = host.logs.lines_read["stdout"] - before[0]
    wanted = len(events) + sum(len(each.out) for each in expected)
    if found != wanted:
        host.note([f"{found} lines on stdout, not {wanted}"], [e["do"] for e in events])


def invoke(host: Container, event: Event) -> Expected:
    """Make one activation, whose log belongs to no single run."""
    names = host.invoker.new_names()
    cold = host.runtime.pinned is None
    record = host.invoker.invoke(host.runtime, host.action, event, names=names)
    expected = expect(event, host.environment(names))
    call = Call(host.action, names, cold, collected=False)
    host.note(differences(record, call, expected), event)
    return expected
