"""The table of requests in ``hotwhisk status``, and the text that is shown again."""

from __future__ import annotations

from typing import Any

import pytest

from hotwhisk.cli.counts import RequestCounts
from hotwhisk.cli.refresh import over, show_again

WIDTH = 80


def row(generation: int, requests: int, **others: object) -> dict[str, object]:
    plain = {"error": 0, "died": 0, "timed_out": 0, "refused": 0}
    times = {"p50_ms": 0.21, "p95_ms": 1.234, "p99_ms": 12.3}
    return {"generation": generation, "requests": requests, **plain, **times, **others}


def answer(*rows: dict[str, object], uptime: float = 100.0, **others: object) -> dict[str, Any]:
    usual = {"current_for": 10.0, "generation": {"number": 8}}
    return {"uptime": uptime, **usual, "counts": list(rows), **others}


def test_each_generation_has_a_row_and_the_current_one_its_rate() -> None:
    old = row(5, 0, earlier=True, p50_ms=None, p95_ms=None, p99_ms=None) | {"requests": 77}
    shown = RequestCounts(
        answer(row(8, 123, died=2), row(7, 4567, timed_out=1), old, row(0, 3))
    ).lines()
    assert shown == [
        "",
        "requests by generation, times in ms",
        "  generation  requests  per s  errors  died  late  refused   p50  p95  p99",
        "           8       123   12.3       0     2     0        0  0.21  1.2   12",
        "           7      4567      -       0     0     1        0  0.21  1.2   12",
        "      1 to 5        77      -       0     0     0        0     -    -    -",
        "        none         3      -       0     0     0        0  0.21  1.2   12",
    ]


def test_the_table_fits_into_a_terminal_also_with_large_numbers() -> None:
    times = {"p50_ms": 0.01234, "p95_ms": 0.0987, "p99_ms": 12345.0}
    large = row(12345, 98_765_432, error=1234, died=12, **times)
    shown = RequestCounts(answer(large, generation={"number": 12345}, current_for=1e5)).lines()
    assert max(map(len, shown)) <= WIDTH


def test_with_an_earlier_reply_the_rate_is_that_of_the_time_between() -> None:
    first = RequestCounts(answer(row(8, 100), row(7, 50)))
    second = RequestCounts(answer(row(8, 130), row(7, 51), row(6, 9), uptime=102.0), first)
    rates = [line.split()[2] for line in second.lines()[3:]]
    assert rates == ["15", "0.5", "4.5"]


def test_a_server_that_counts_nothing_has_no_table() -> None:
    assert RequestCounts({}).lines() == []
    assert RequestCounts(answer()).lines() == []
    assert RequestCounts(answer(row(8, 0))).lines() == []
    assert RequestCounts({"counts": [7, None], "uptime": "x", "generation": 3}).lines() == []


def test_the_current_generation_has_a_row_before_its_first_request() -> None:
    shown = RequestCounts(answer(row(8, 0), row(7, 5))).lines()
    assert [line.split()[0] for line in shown[3:]] == ["8", "7"]


def test_many_generations_are_cut() -> None:
    shown = RequestCounts(answer(*(row(number, 1) for number in range(20, 0, -1)))).lines()
    assert shown[-1] == "  … 14 more; --json shows all"


def test_a_text_is_written_over_the_one_before() -> None:
    assert over("a\nb") == "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J"


def test_texts_are_shown_until_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    texts = iter(["one", "two", None])
    show_again(lambda: next(texts), 0.0)
    assert capsys.readouterr().out == "one\n\ntwo\n\n"


def test_ctrl_c_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    def text() -> str:
        raise KeyboardInterrupt

    show_again(text, 0.0)
    assert capsys.readouterr().out == ""
