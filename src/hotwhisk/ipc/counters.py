"""
What is counted of requests: the words that a worker counts in, and the sums of them.

Pure. Each worker has a block of words in shared memory (`counter_blocks`), and `worker_counters`
writes it. A request that ran is counted by its duration: one word for each duration, once for
results and once for errors. So one store counts the request, its kind and its duration, and the
number of requests is the sum of these words. If a worker is killed between any two instructions,
the store is done or not done, and the sum is exact.

The bits of a double are its exponent and then its fraction. Its first bits, as a number, are the
index of the duration: four words for each power of two of seconds. A word stands for durations that
are at most a quarter apart.

The supervisor counts what no worker can: requests whose worker died, or was too late.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

WORDS = 512
"""Words of eight bytes in a block."""

UNCOUNTED, REFUSED, REFUSED_BEFORE, RUN_SECONDS, BYTES_IN, BYTES_OUT = range(6)
"""
The words that are no duration: a word that nothing reads; refused requests, and those from before
the worker had an action; the sum of all durations, a double; and bytes.
"""

RESULTS, ERRORS, DURATION_WORDS = 16, 256, 240
"""The first word for results and for errors, and how many words each has."""

SHIFT = 50
"""How many bits of a double are dropped to get the index of a duration: four of each exponent."""

EXPONENT = -30
"""The shortest duration is 2 to this power, about a nanosecond. The longest is 34 years."""

FIRST = (1023 + EXPONENT) << 2
"""The index of the shortest duration."""

SHORTEST = 1e-9
"""Seconds that are added to each duration, so that none is shorter than the shortest."""

MOST = 1 << 53
"""The largest count that a reader accepts: the action can write into the block."""

MASK = 2 * MOST - 1
"""What a worker keeps of a count that it read there, so that the next one can be written."""


class AnswerKind(StrEnum):
    """The kinds of answers, as `status` names them."""

    OK = "ok"
    """The result of the action."""
    ERROR = "error"
    """An error of the action: it raised an exception, or its answer has the key ``error``."""
    DIED = "died"
    """Its worker died, so the server answered; or the answer was cut off."""
    TIMED_OUT = "timed_out"
    """It was past its deadline, so the server answered."""
    REFUSED = "refused"
    """The server refused it: it was malformed, lacked a token, or found no action."""


def upper_bound(index: int) -> float:
    """Return the seconds below which the durations of a word are; ``index`` counts from 0."""
    power, quarter = divmod(index, 4)
    return float(2.0 ** (power + EXPONENT) * (1 + (quarter + 1) / 4))


def lower_bound(index: int) -> float:
    """Return the shortest duration of a word, in seconds."""
    power, quarter = divmod(index, 4)
    return float(2.0 ** (power + EXPONENT) * (1 + quarter / 4))


def counted_word(words: Sequence[int] | memoryview, mark: int) -> int:
    """
    Return the word in which an answer was counted; `UNCOUNTED` if it was not counted.

    Its ``mark`` names the word, and the number that the word has when the answer is counted.
    """
    count, word = divmod(mark, WORDS)
    return word if 0 < count <= words[word] else UNCOUNTED


class Counts:
    """What was counted in one generation, or by one worker."""

    __slots__ = (
        "bytes_in",
        "bytes_out",
        "died",
        "errors",
        "refused",
        "results",
        "run_seconds",
        "timed_out",
    )

    def __init__(self) -> None:
        self.results = [0] * DURATION_WORDS
        """Requests with a result, by the index of their duration."""
        self.errors = [0] * DURATION_WORDS
        """Requests with an error of the action, by the index of their duration."""
        self.refused = 0
        self.died = 0
        self.timed_out = 0
        self.run_seconds = 0.0
        """Seconds of all durations. Runs that overlap each count."""
        self.bytes_in = 0
        self.bytes_out = 0

    @classmethod
    def of_block(cls, words: memoryview) -> tuple[Counts, int]:
        """
        Return what a worker has counted, and how many requests it refused before it had an action.

        Each value is brought within its bounds.
        """
        found = [min(each, MOST) for each in words.tolist()]
        seconds: float = words.cast("B").cast("d")[RUN_SECONDS]
        counts = cls()
        counts.results = found[RESULTS : RESULTS + DURATION_WORDS]
        counts.errors = found[ERRORS : ERRORS + DURATION_WORDS]
        counts.refused = found[REFUSED]
        counts.run_seconds = seconds if 0.0 <= seconds <= MOST else 0.0  # this excludes NaN too
        counts.bytes_in, counts.bytes_out = found[BYTES_IN], found[BYTES_OUT]
        return counts, found[REFUSED_BEFORE]

    def add(self, other: Counts) -> None:
        """Add what was counted elsewhere."""
        self.results = [a + b for a, b in zip(self.results, other.results, strict=True)]
        self.errors = [a + b for a, b in zip(self.errors, other.errors, strict=True)]
        self.refused += other.refused
        self.died += other.died
        self.timed_out += other.timed_out
        self.run_seconds += other.run_seconds
        self.bytes_in += other.bytes_in
        self.bytes_out += other.bytes_out

    def take_back(self, word: int) -> None:
        """Count one request less in a word of the block, because its client got another answer."""
        if word == REFUSED:
            self.refused = max(0, self.refused - 1)
        for first, counts in ((RESULTS, self.results), (ERRORS, self.errors)):
            if first <= word < first + DURATION_WORDS:
                counts[word - first] = max(0, counts[word - first] - 1)

    def by_kind(self) -> dict[AnswerKind, int]:
        """Return the number of answers of each kind."""
        return {
            AnswerKind.OK: sum(self.results),
            AnswerKind.ERROR: sum(self.errors),
            AnswerKind.DIED: self.died,
            AnswerKind.TIMED_OUT: self.timed_out,
            AnswerKind.REFUSED: self.refused,
        }

    def durations(self) -> list[int]:
        """Return how many requests ran, by the index of their duration."""
        return [a + b for a, b in zip(self.results, self.errors, strict=True)]

    def percentile(self, share: float) -> float | None:
        """
        Return the seconds within which a ``share`` of the requests ran; None if none did.

        The durations of one word are taken to be spread evenly.
        """
        durations = self.durations()
        left = share * sum(durations)
        for index, count in enumerate(durations):
            if count and left <= count:
                lower = lower_bound(index)
                return lower + (upper_bound(index) - lower) * left / count
            left -= count
        return None

    def histogram(self) -> Iterator[tuple[float, int]]:
        """Yield the upper limit of each duration that occurred, in seconds, and how many had it."""
        for index, count in enumerate(self.durations()):
            if count:
                yield upper_bound(index), count

    def json_values(self) -> dict[str, object]:
        """Return everything as values that JSON can hold."""
        kinds = self.by_kind()
        return {
            "requests": sum(kinds.values()),
            **{str(kind): count for kind, count in kinds.items()},
            "busy": round(self.run_seconds, 6),
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            **{
                f"p{share}_ms": _milliseconds(self.percentile(share / 100))
                for share in (50, 95, 99)
            },
            "durations": [[float(f"{limit:.6g}"), count] for limit, count in self.histogram()],
        }


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else float(f"{1000 * seconds:.4g}")
