"""The text of metrics is read back by the reader of prometheus_client."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from hotwhisk.server.openmetrics import (
    Distribution,
    Family,
    counter,
    gauge,
    histogram,
    info,
    render,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def read(*families: Family) -> dict[str, dict[tuple[str, ...], float]]:
    """Return the samples of a text by name and by the values of their labels."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(render(families).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_the_text_letter_by_letter() -> None:
    families = [
        counter("a", 'Says "a"\\', [({"kind": "x\n"}, 3), ({"kind": 'y"'}, 0)]),
        gauge("b_seconds", "Some time", [({}, 0.5)]),
        info("c", "A name", {"version": "1"}),
        histogram("d", "How long", [({"of": "1"}, Distribution([(0.001, 2), (1, 3)], 4, 9.5))]),
    ]
    assert render(families).decode() == (
        "# TYPE a counter\n"
        '# HELP a Says \\"a\\"\\\\\n'
        'a_total{kind="x\\n"} 3\n'
        'a_total{kind="y\\""} 0\n'
        "# TYPE b_seconds gauge\n"
        "# HELP b_seconds Some time\n"
        "b_seconds 0.5\n"
        "# TYPE c info\n"
        "# HELP c A name\n"
        'c_info{version="1"} 1\n'
        "# TYPE d histogram\n"
        "# HELP d How long\n"
        'd_bucket{of="1",le="0.001"} 2\n'
        'd_bucket{of="1",le="1.0"} 3\n'
        'd_bucket{of="1",le="+Inf"} 4\n'
        'd_count{of="1"} 4\n'
        'd_sum{of="1"} 9.5\n'
        "# EOF\n"
    )
    assert read(*families)["d_bucket"] == {("1", "0.001"): 2, ("1", "1.0"): 3, ("1", "+Inf"): 4}


def test_no_metric_is_a_text_too() -> None:
    assert read() == {}


@given(TEXTS, TEXTS, st.integers(0, 2**63))
def test_texts_are_escaped_so_that_they_are_read_back(words: str, label: str, value: int) -> None:
    meaning = f"a{words}b"  # the reader leaves out the space around it
    family = counter("a", meaning, [({"of": label}, value)])
    (found,) = text_string_to_metric_families(render([family]).decode())
    (sample,) = found.samples
    assert (found.documentation, sample.labels, sample.value) == (meaning, {"of": label}, value)


@pytest.mark.parametrize("bound", [2**power / 1e6 for power in range(4, 31)])
def test_bounds_of_a_histogram_are_written_as_readers_expect_them(bound: float) -> None:
    found = read(histogram("a", "", [({}, Distribution([(bound, 1)], 1, bound))]))
    assert list(found["a_bucket"]) == [(repr(bound),), ("+Inf",)]
