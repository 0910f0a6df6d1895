"""
Add up what was counted of the requests of each generation.

Pure. A worker counts in its block of the scoreboard. The supervisor adds the block at the worker's
exit, and the blocks of living workers when the counts are asked for. It counts by itself a request
that another process answers, because the worker died or was too late: once, when it decides that,
for the generation that the answer names.
"""

from __future__ import annotations

from collections.abc import Iterable

from hotwhisk.ipc.counters import REFUSED, REFUSED_BEFORE, Counts
from hotwhisk.openwhisk.answers import Cause

KEPT = 20
"""The latest generations that are kept one by one. Older ones are kept as one sum."""

NO_GENERATION = 0
"""The generation of requests that were refused by a worker without an action."""


class Totals:
    """The counts of one server by generation."""

    def __init__(self) -> None:
        self._kept: dict[int, Counts] = {}
        self._earlier = Counts()
        self._last_earlier = 0
        """The latest generation in the sum of the older ones; 0 if there is no such sum."""

    def counts_of(self, generation: int) -> Counts:
        """Return the counts of a generation, to be changed; those of an older one are the sum."""
        if generation not in self._kept:
            if NO_GENERATION < generation <= self._last_earlier:
                return self._earlier
            self._kept[generation] = Counts()
            numbered = sorted(number for number in self._kept if number != NO_GENERATION)
            for number in numbered[:-KEPT]:
                self._earlier.add(self._kept.pop(number))
                self._last_earlier = number
        return self._kept.get(generation, self._earlier)

    def add(self, generation: int, block: tuple[Counts, int]) -> None:
        """Add what a worker has counted; see `Counts.of_block`."""
        counts, refused_before = block
        self.counts_of(generation).add(counts)
        if refused_before:
            self.counts_of(NO_GENERATION).refused += refused_before

    def take_back(self, generation: int, word: int) -> None:
        """Count one request less in a ``word`` of the block of a worker, which `add` has added."""
        counts = self.counts_of(NO_GENERATION if word == REFUSED_BEFORE else generation)
        counts.take_back(REFUSED if word == REFUSED_BEFORE else word)

    def answered_for_worker(self, generation: int, cause: Cause) -> None:
        """Count a request that another process answers for its worker, because of ``cause``."""
        if cause is Cause.TIMED_OUT:
            self.counts_of(generation).timed_out += 1
        elif cause is Cause.BUSY:  # no worker has begun it
            self.counts_of(NO_GENERATION).refused += 1
        else:
            self.counts_of(generation).died += 1

    def sum_of(self, generation: int, living: Iterable[tuple[int, tuple[Counts, int]]]) -> Counts:
        """Return the counts of a generation with those of the ``living``; see `json_values`."""
        total = Counts()
        total.add(self._kept.get(generation, total))
        for number, (counts, _) in living:
            if number == generation:
                total.add(counts)
        return total

    def json_values(
        self, living: Iterable[tuple[int, tuple[Counts, int]]], current: int
    ) -> list[dict[str, object]]:
        """
        Return all counts as values that JSON can hold, the ``current`` generation first.

        ``living`` are the generations and blocks of the workers that live. Generation 0 stands for
        requests without an action. The sum of older generations has the key ``earlier``, and the
        number of the latest of them.
        """
        shown = Totals()
        shown._earlier.add(self._earlier)
        shown._last_earlier = self._last_earlier
        for number in sorted({current, *self._kept}):
            shown.counts_of(number).add(self._kept.get(number, Counts()))
        for generation, block in living:
            shown.add(generation, block)
        rows = [
            {"generation": number, **shown._kept[number].json_values()}
            for number in sorted(shown._kept, reverse=True)
            if number == current or any(shown._kept[number].by_kind().values())
        ]
        if shown._last_earlier:
            earlier = {"generation": shown._last_earlier, "earlier": True}
            rows.append(earlier | shown._earlier.json_values())
        return rows
