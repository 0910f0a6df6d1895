"""
Count the answers of one worker, in its block of the shared memory; see `hotwhisk.ipc.counters`.

An answer is counted when it is made, before its first byte is sent, in this order:

    mark the connection → write its phase, RESPONDING → count: one store → send

The mark names the word in which the answer is counted, and the number that this word has from then
on. So if the worker dies, the supervisor knows of each answer that was not sent whole whether it is
counted, and where. It takes that back if the client gets another answer. The mark is cleared when
the next request begins to run.

There is no lock, no file and no system call. docs/performance.md says what it costs.
"""

from __future__ import annotations

from hotwhisk.ipc.counters import (
    BYTES_IN,
    BYTES_OUT,
    ERRORS,
    FIRST,
    MASK,
    REFUSED,
    REFUSED_BEFORE,
    RESULTS,
    RUN_SECONDS,
    SHIFT,
    SHORTEST,
    UNCOUNTED,
    WORDS,
    counted_word,
)
from hotwhisk.ipc.scoreboard import ANSWER, COUNT_MARK, FIELDS, SENT, Scoreboard

RAN = {False: RESULTS - FIRST, True: ERRORS - FIRST}
"""By whether the request failed: what is added to the index of its duration to get its word."""


class WorkerCounters:
    """
    The counters of the worker in ``slot``.

    The next answer counts as refused, unless `ran` and `seconds`, or `word`, are set before it.
    """

    __slots__ = (
        "_bits", "_bytes_out", "_doubles", "_latest", "_phases", "_refused", "_rows",
        "_scoreboard", "_words", "bytes_in", "ran", "seconds", "word",
    )  # fmt: skip

    def __init__(self, scoreboard: Scoreboard, slot: int) -> None:
        self._scoreboard = scoreboard
        self._rows, self._phases = scoreboard.longs, scoreboard.phases
        self._latest = memoryview(bytearray(8)).cast("d")
        self._bits = self._latest.cast("B").cast("Q")
        self.begin(slot)

    def begin(self, slot: int) -> None:
        """Begin to count in the block of ``slot``; the worker has no action yet."""
        self._words = self._scoreboard.counters.block(slot)
        self._doubles = self._words.cast("B").cast("d")
        self.word = self._refused = REFUSED_BEFORE
        """Where the next answer is counted if its request did not run."""
        self._bytes_out = self.bytes_in = 0
        self.seconds = 0.0
        """How long the request ran whose answer comes next."""
        self.ran = 0
        """The member of `RAN` for that answer; 0 if the request did not run."""

    def count_for_action(self) -> None:
        """Count refused requests as those of the action from now on, because it is loaded."""
        self.word = self._refused = REFUSED

    def respond(self, number: int, sent: int, length: int) -> None:
        """
        Record that an answer of ``length`` bytes follows ``sent`` bytes on connection ``number``,
        and count it.
        """
        words, rows = self._words, self._rows
        if self.ran:
            self._latest[0] = seconds = self.seconds + SHORTEST
            self._doubles[RUN_SECONDS] += seconds
            word = (self._bits[0] >> SHIFT) + self.ran
            self.ran = 0
        else:
            word, self.word = self.word, self._refused
        count = (words[word] + 1) & MASK  # the action may have written there
        at = number * FIELDS
        rows[at + COUNT_MARK] = count * WORDS + word
        rows[at + SENT] = sent
        rows[at + ANSWER] = length
        self._phases[number] = 5  # Phase.RESPONDING, without an attribute look-up
        words[word] = count
        self._bytes_out = total = self._bytes_out + length
        words[BYTES_OUT] = total
        words[BYTES_IN] = self.bytes_in

    def interrupted(self, number: int, seconds: float) -> None:
        """
        Count the next answer as an error, because the run or its answer was broken off.

        If the answer that is lost was counted, it is counted no more.
        """
        word = counted_word(self._words, self._scoreboard.count_mark(number))
        if word != UNCOUNTED:
            self._words[word] = max(self._words[word] - 1, 0)
        self.seconds, self.ran = seconds, RAN[True]
