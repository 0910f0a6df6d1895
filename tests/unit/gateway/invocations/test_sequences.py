from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hotwhisk.gateway.invocations import sequences
from hotwhisk.gateway.store.store import Store

from .runner import FunctionRunner


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[FunctionRunner]:
    store = Store(str(tmp_path / "db"))
    found = FunctionRunner(store)
    found.add("inc", lambda event: {"n": event["n"] + 1})
    yield found
    store.close()


def result(activation: Any) -> Any:
    return activation.record["response"]["result"]


def test_each_component_gets_the_result_of_the_one_before(runner: FunctionRunner) -> None:
    runner.add_sequence("two", "inc", "inc")
    runner.add_sequence("five", "two", "inc", "two")
    activation = runner.invoke("five", {"n": 0})
    assert result(activation) == {"n": 5}
    assert activation.record["duration"] == 10
    assert len(activation.record["logs"]) == 3
    first = runner.store.activations.get("guest", activation.record["logs"][0])
    assert first is not None
    assert first.record["cause"] == activation.id
    assert (first.annotation("topmost"), first.annotation("causedBy")) == (False, "sequence")


def test_an_error_ends_it(runner: FunctionRunner) -> None:
    runner.add("fail", lambda _: {"error": "no"})
    runner.add_sequence("stops", "inc", "fail", "inc")
    activation = runner.invoke("stops", {"n": 0})
    assert result(activation) == {"error": "no"}
    assert runner.names == ["inc", "fail"]


def test_an_array_with_the_text_error_does_not_end_it(runner: FunctionRunner) -> None:
    runner.add("array", lambda _: ["error"])
    runner.add("length", lambda event: {"n": len(event)})
    runner.add_sequence("goes-on", "array", "length")
    assert result(runner.invoke("goes-on", {})) == {"n": 1}


def test_actions_of_inner_sequences_count(runner: FunctionRunner) -> None:
    runner.add_sequence("thirty", *["inc"] * 30)
    runner.add_sequence("sixty", "thirty", "thirty")
    activation = runner.invoke("sixty", {"n": 0})
    assert result(activation) == {"error": sequences.TOO_LONG}
    assert len(runner.names) == sequences.MOST_COMPONENTS


def test_a_circle_that_came_about_later_ends(runner: FunctionRunner) -> None:
    runner.add_sequence("a", "b")
    runner.add_sequence("b", "a")
    assert result(runner.invoke("a", {})) == {"error": sequences.TOO_LONG}


@pytest.mark.parametrize(
    ("components", "text"),
    [
        ([], sequences.EMPTY),
        (["/guest/x"], sequences.CYCLIC),
        (["/guest/inc", "/guest/none"], sequences.COMPONENT_MISSING),
        (["/guest/inc"] * 51, sequences.TOO_LONG),
        (["/guest/around"], sequences.CYCLIC),
        (["/guest/a"], sequences.TOO_LONG),
    ],
)
def test_what_cannot_be_a_sequence(
    runner: FunctionRunner, components: list[str], text: str
) -> None:
    runner.add_sequence("around", "x")
    runner.add_sequence("a", "b")
    runner.add_sequence("b", "a")
    with pytest.raises(sequences.BadSequence, match=text):
        sequences.check(runner.store, "guest", ("guest", "", "x"), components)


def test_a_sequence_that_can_be(runner: FunctionRunner) -> None:
    sequences.check(runner.store, "guest", ("guest", "", "x"), ["/guest/inc"] * 50)


def test_inner_compositions_share_the_limit(runner: FunctionRunner) -> None:
    runner.add("inner", lambda _: {"action": "none"}, conductor=True)
    runner.add("outer", lambda _: {"action": "inner"}, conductor=True)
    assert "Too many actions" in result(runner.invoke("outer", {}))["error"]
    assert len(runner.names) <= 2 * sequences.MOST_COMPONENTS + 1


def test_a_component_that_is_a_sequence(runner: FunctionRunner) -> None:
    runner.add_sequence("two", "inc", "inc")
    runner.add(
        "conductor",
        lambda event: (
            {"params": {"got": event["n"]}}
            if event.get("done")
            else {"action": "two", "params": event, "state": {"done": True}}
        ),
        conductor=True,
    )
    activation = runner.invoke("conductor", {"n": 1})
    assert result(activation) == {"got": 3}
    assert activation.annotation("conductor") is True


def test_params_and_state_that_are_no_objects(runner: FunctionRunner) -> None:
    events: list[Any] = []

    def conductor(event: Any) -> Any:
        events.append(event)
        return {"params": 7} if len(events) == 2 else {"action": "keep", "params": 5, "state": 6}

    runner.add("keep", lambda event: event)
    runner.add("conductor", conductor, conductor=True)
    assert result(runner.invoke("conductor", {})) == {"value": 7}
    assert events == [{}, {"value": 5, "state": 6}]
