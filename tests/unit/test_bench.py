"""The bench: its requests, when a bar is met, servers of others, charts."""

from argparse import ArgumentTypeError
from xml.etree.ElementTree import fromstring

import pytest

from bench.against import NOWHERE, Other, compare
from bench.chart import Chart, Line, draw, ticks
from bench.client import Work, requests_of
from bench.report import Bar, ratio_row
from bench.requests import ROWS
from hotwhisk.http1.http1 import parse_complete
from hotwhisk.openwhisk.bodies import read_run
from tests.support.server import Server


def runs(work):
    found = []
    for sent in requests_of(work):
        request = parse_complete(sent)
        assert request.end == len(sent)
        found.append((request.head, read_run(request.body)))
    return found


def test_a_plain_request_has_the_event_alone():
    ((head, run),) = runs(Work("kept", ("127.0.0.1", 1), 1, size=3))
    assert (head.path, head.keep_alive) == ("/run", True)
    assert (run.value, run.context) == ({"text": "xxx"}, {})


def test_the_platforms_requests_have_one_event_and_an_activation_each():
    found = runs(Work("fresh", ("127.0.0.1", 1), 1, size=3, platform=True))
    assert len({run.context["activation_id"] for _, run in found}) == len(found) > 1
    for head, run in found:
        assert (head.path, head.keep_alive) == ("/run", False)
        assert run.value == {"text": "xxx"}
        assert run.context.keys() >= {"namespace", "action_name", "deadline", "transaction_id"}


def test_the_median_of_the_ratios_counts():
    row = ratio_row("a row", Bar(1.5), [10.0, 14.0, 90.0], [10.0, 10.0, 10.0], "{:.0f} {:.0f}")
    assert (row.median, row.verdict, row.detail) == (1.4, "met", "14 10")
    assert ratio_row("a row", Bar(1.5), [16.0], [10.0], "").verdict == "MISSED"
    assert ratio_row("a row", Bar(1.7, most=False), [16.0], [10.0], "").verdict == "MISSED"
    assert ratio_row("a row", None, [16.0], [10.0], "").verdict == "stated"


def test_an_event_of_many_small_values_is_a_megabyte():
    work = Work("kept", ("127.0.0.1", 1), 1, rows=ROWS)
    ((_, run),) = runs(work)
    assert run.value == work.event
    assert len(work.event["rows"]) == ROWS
    assert 1_000_000 < len(requests_of(work)[0]) < 1_100_000


def test_another_server_has_a_name_and_an_address():
    assert Other.parse("it=http://localhost:9000") == Other("it", ("localhost", 9000), "/run")
    assert Other.parse("it=http://10.0.0.1/call/") == Other("it", ("10.0.0.1", 80), "/call")
    for wrong in ("http://localhost:9000", "it=localhost:9000", "it=https://localhost", "it", ""):
        with pytest.raises(ArgumentTypeError, match="expected NAME=http://HOST:PORT"):
            Other.parse(wrong)


@pytest.mark.slow
def test_another_server_gets_the_echo_and_is_measured_beside_ours():
    with Server() as server:
        other = Other("it", server.address, "/run")
        rows = list(compare(other, "kept", Work("kept", NOWHERE, 20), 0.1))
        assert other.has_action()
    assert [row.name for row in rows] == [
        "kept: the reference / it",
        "kept: hotwhisk / it",
        "kept: --openwhisk / it",
    ]
    assert all(len(row.values) == 3 and row.median > 0 for row in rows)


def test_a_server_that_does_not_echo_is_refused():
    with Server() as server:
        server.post("def main(event): return {}\n")
        other = Other("it", server.address, "/absent")
        with pytest.raises(RuntimeError, match="it does not echo: expected that POST /absent"):
            other.require_action()


@pytest.mark.parametrize(
    ("largest", "expected"),
    [
        (1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (8, [0, 2, 4, 6, 8]),
        (23_456, [0, 5000, 10_000, 15_000, 20_000, 25_000]),
        (0.031, [0, 0.01, 0.02, 0.03, 0.04]),
    ],
)
def test_ticks_are_round_numbers(largest, expected):
    assert ticks(largest) == pytest.approx(expected)


def test_a_chart_has_every_line_and_every_point():
    lines = [Line("one & all", [(1, 10), (8, 40)], ["first"]), Line("other", [(4, 20)])]
    svg = draw([Chart("Memory", "workers", "MB", lines)] * 2, "a machine")
    found = fromstring(svg)
    texts = [each.text for each in found.iter("{http://www.w3.org/2000/svg}text")]
    assert {"one & all", "other", "first", "Memory", "workers", "MB", "a machine"} <= set(texts)
    circles = list(found.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(circles) == 6
    assert float(circles[0].get("cx")) < float(circles[1].get("cx"))
    assert float(circles[0].get("cy")) > float(circles[1].get("cy"))
