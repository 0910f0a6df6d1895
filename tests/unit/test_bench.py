"""The bench: its requests, and when a bar is met."""

from bench.client import Work, requests_of
from bench.report import Bar, ratio_row
from hotwhisk.http1.http1 import parse_complete
from hotwhisk.openwhisk.bodies import read_run


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
