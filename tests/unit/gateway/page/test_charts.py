from __future__ import annotations

from itertools import pairwise

import pytest

from hotwhisk.build.import_profile import Import
from hotwhisk.gateway.page.charts import IMPORTS_WIDTH, import_chart, latency_plot, time_bar
from hotwhisk.gateway.store.statistics import Point


def point(duration: int, init: int | None = None, status: int = 0, revision: int = 1) -> Point:
    return Point("a" * 32, 7, duration, init, status, revision)


def test_the_bar_of_an_activation_is_whole() -> None:
    wait, init, run = time_bar(10, 30, 90)
    assert (wait.width, init.width, run.width) == (10, 30, 60)
    assert (wait.left, init.left, run.left) == (0, 10, 40)


@pytest.mark.parametrize("init", [None, 0])
def test_the_bar_of_a_call_that_took_no_time(init: int | None) -> None:
    assert [segment.width for segment in time_bar(0, init, 0)] == [0, 0, 0]


def test_no_plot_without_calls() -> None:
    assert latency_plot([]) is None


def test_a_longer_call_is_higher_and_all_fit() -> None:
    plot = latency_plot([point(each) for each in (0, 1, 9, 80, 5000)])
    assert plot is not None
    heights = [dot.y for dot in plot.dots]
    assert heights == sorted(heights, reverse=True)
    assert all(0 <= dot.y <= plot.height and 0 <= dot.x <= plot.width for dot in plot.dots)
    assert [label for _, label in plot.grid] == [1, 10, 100, 1000, 10000]


def test_a_plot_tells_init_error_and_another_version() -> None:
    plot = latency_plot([point(50, init=40), point(3, status=1), point(2, revision=2)])
    assert plot is not None
    assert [(dot.kind, dot.milliseconds) for dot in plot.dots] == [
        ("init", 40), ("run", 10), ("error", 3), ("run", 2),
    ]  # fmt: skip
    assert (plot.first, plot.last) == (7, 7)
    (change,) = plot.changes
    assert plot.dots[2].x < change < plot.dots[3].x


def test_imports_are_beside_each_other_and_below_those_that_made_them() -> None:
    inner = (Import("a.b", 30.0), Import("a.c", 20.0))
    chart = import_chart([Import("a", 75.0, inner), Import("z", 25.0)])
    places = {bar.module: (bar.x, bar.y, bar.width) for bar in chart.bars}
    width = IMPORTS_WIDTH
    assert places["a"] == (0, 0, width * 0.75)
    assert places["z"] == (width * 0.75, 0, width * 0.25)
    assert places["a.b"][0] == 0
    assert places["a.c"][0] == width * 0.3
    assert places["a.b"][1] == places["a.c"][1] > 0
    assert chart.total == 100


def test_a_label_is_cut_or_left_out_where_it_does_not_fit() -> None:
    many = [Import(f"a_long_name_{number}", 1.0 + number) for number in range(40)]
    bars = import_chart(many).bars
    assert all(len(bar.label) * 6 <= bar.width for bar in bars)
    assert all(left.x + left.width <= right.x + 0.2 for left, right in pairwise(bars))


def test_no_imports_make_an_empty_chart() -> None:
    assert import_chart([]).bars == ()
