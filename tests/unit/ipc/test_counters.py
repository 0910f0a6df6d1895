"""What the words of a block mean: durations, percentiles, sums, and bounds."""

from __future__ import annotations

import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotwhisk.ipc import counters
from hotwhisk.ipc.counters import (
    DURATION_WORDS,
    ERRORS,
    MOST,
    REFUSED,
    REFUSED_BEFORE,
    RESULTS,
    UNCOUNTED,
    WORDS,
    AnswerKind,
    Counts,
    counted_word,
    lower_bound,
    upper_bound,
)

SECONDS = st.floats(1e-6, 1e6)
KNOWN_WORDS = st.integers(RESULTS, ERRORS + DURATION_WORDS - 1)


def index_of(seconds: float) -> int:
    (bits,) = struct.unpack("Q", struct.pack("d", seconds + counters.SHORTEST))
    return int(bits >> counters.SHIFT) - counters.FIRST


def block(words: dict[int, int]) -> memoryview:
    found = memoryview(bytearray(8 * WORDS)).cast("Q")
    for word, count in words.items():
        found[word] = count
    return found


def counts_of(durations: list[float]) -> Counts:
    counts = Counts()
    for seconds in durations:
        counts.results[index_of(seconds)] += 1
    return counts


@given(SECONDS)
def test_a_duration_is_within_the_limits_of_its_word(seconds: float) -> None:
    index = index_of(seconds)
    assert 0 <= index < DURATION_WORDS
    assert lower_bound(index) <= seconds + counters.SHORTEST < upper_bound(index)


@pytest.mark.parametrize("seconds", [0.0, 1e-12, 2.0**29])
def test_the_shortest_and_the_longest_duration_have_a_word(seconds: float) -> None:
    assert 0 <= index_of(seconds) < DURATION_WORDS


def test_words_stand_for_all_durations_without_a_gap_and_are_a_quarter_apart_at_most() -> None:
    for index in range(DURATION_WORDS - 1):
        assert upper_bound(index) == lower_bound(index + 1)
        assert upper_bound(index) <= 1.25 * lower_bound(index)


def test_no_two_things_share_a_word() -> None:
    used = [
        *range(7),
        *range(RESULTS, RESULTS + DURATION_WORDS),
        *range(ERRORS, ERRORS + DURATION_WORDS),
    ]
    assert len(set(used)) == len(used)
    assert max(used) < WORDS


@given(st.lists(SECONDS, min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_a_quarter_from_the_true_one_at_most(
    durations: list[float], share: float
) -> None:
    true = sorted(durations)[max(0, math.ceil(share * len(durations)) - 1)]
    found = counts_of(durations).percentile(share)
    assert found is not None
    assert true / 1.26 <= found <= true * 1.26


def test_no_requests_have_no_percentile() -> None:
    assert Counts().percentile(0.5) is None
    assert Counts().json_values()["p50_ms"] is None


@given(st.dictionaries(KNOWN_WORDS, st.integers(0, 1000)), st.integers(0, 9), st.integers(0, 9))
def test_the_kinds_are_the_sums_of_their_words(
    words: dict[int, int], refused: int, before: int
) -> None:
    words = {word: count for word, count in words.items() if word < 256 or word >= ERRORS}
    counts, found_before = Counts.of_block(
        block({**words, REFUSED: refused, REFUSED_BEFORE: before})
    )
    assert found_before == before
    kinds = counts.by_kind()
    assert kinds[AnswerKind.OK] == sum(n for word, n in words.items() if word < ERRORS)
    assert kinds[AnswerKind.ERROR] == sum(n for word, n in words.items() if word >= ERRORS)
    assert kinds[AnswerKind.REFUSED] == refused
    total = Counts()
    total.add(counts)
    total.add(counts)
    assert total.by_kind() == {kind: 2 * count for kind, count in kinds.items()}


@given(st.dictionaries(st.integers(0, WORDS - 1), st.integers(0, (1 << 64) - 1)))
def test_whatever_a_block_holds_is_read_within_bounds(scribbled: dict[int, int]) -> None:
    counts, before = Counts.of_block(block(scribbled))
    assert 0 <= before <= MOST
    plain = counts.json_values()
    json.dumps(plain, allow_nan=False)
    for key in ("ok", "error", "refused", "bytes_in", "bytes_out", "busy"):
        value = plain[key]
        assert isinstance(value, int | float)
        assert 0 <= value <= MOST * DURATION_WORDS


@given(st.integers(0, (1 << 64) - 1), st.integers(0, WORDS - 1), st.integers(0, 3))
def test_whatever_a_mark_holds_it_takes_back_no_more_than_was_counted(
    mark: int, word: int, count: int
) -> None:
    words = block({word: count})
    found = counted_word(words, mark)
    assert found == UNCOUNTED or words[found] > 0
    counts, _ = Counts.of_block(words)
    for _ in range(5):
        counts.take_back(found)
    assert min(counts.by_kind().values()) >= 0


def test_a_mark_says_whether_its_answer_was_counted() -> None:
    mark = 3 * WORDS + RESULTS
    assert counted_word(block({RESULTS: 2}), mark) == UNCOUNTED
    assert counted_word(block({RESULTS: 3}), mark) == RESULTS
    assert counted_word(block({RESULTS: 4}), mark) == RESULTS
    assert counted_word(block({}), 0) == UNCOUNTED
