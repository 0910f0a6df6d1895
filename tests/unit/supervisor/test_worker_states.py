"""The table of a worker's states, and its picture in ARCHITECTURE.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hotwhisk.supervisor.workers import TABLE, Event, State

DOCUMENT = Path(__file__).parents[3] / "ARCHITECTURE.md"


def diagram() -> str:
    """
    Return the table as a Mermaid state diagram.

    A worker may die in any state; KILLED is where nothing else can happen.
    """
    edges: dict[tuple[State, State], list[Event]] = {}
    for (before, event), after in TABLE.items():
        edges.setdefault((before, after), []).append(event)
    lines = ["stateDiagram-v2", f"    [*] --> {State.SPARE}: fork"]
    lines += [f"    [*] --> {State.TEMPLATE}: left by a worker that loads"]
    for (before, after), events in edges.items():
        lines.append(f"    {before} --> {after}: {', '.join(events)}")
    final = [state for state in State if not any(before is state for before, _ in TABLE)]
    lines += [f"    {state} --> [*]: died" for state in final]
    return "\n".join(lines)


def test_the_documented_diagram_is_the_table() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    found = re.findall(r"```mermaid\n(stateDiagram.*?)\n```", text, re.DOTALL)
    assert found == [diagram()], f"put this into ARCHITECTURE.md:\n\n{diagram()}\n"


@pytest.mark.parametrize("event", Event)
def test_every_event_is_documented(event: Event) -> None:
    assert f"| {event} |" in DOCUMENT.read_text(encoding="utf-8")


@pytest.mark.parametrize("state", State)
def test_every_state_is_documented(state: State) -> None:
    assert f"| **{state}** |" in DOCUMENT.read_text(encoding="utf-8")


@pytest.mark.parametrize("state", State)
def test_every_state_is_reached_from_a_fork(state: State) -> None:
    reached = {State.SPARE, State.TEMPLATE}  # a worker that loads leaves a template
    for _ in State:
        reached |= {after for (before, _), after in TABLE.items() if before in reached}
    assert state in reached


@pytest.mark.parametrize("event", Event)
def test_a_killed_worker_stays_killed(event: Event) -> None:
    assert TABLE.get((State.KILLED, event)) is None


@pytest.mark.parametrize("event", Event)
def test_a_draining_worker_never_serves_again(event: Event) -> None:
    assert TABLE.get((State.DRAINING, event)) in (None, State.KILLED)


def test_only_a_worker_that_loaded_serves() -> None:
    assert {before for (before, event), after in TABLE.items() if after is State.SERVING} == {
        State.LOADING,
        State.TRIAL,
        State.BUSY,
        State.KEPT,
    }


def test_a_message_that_crossed_means_nothing() -> None:
    assert TABLE.get((State.SPARE, Event.READY)) is None
    assert TABLE.get((State.SERVING, Event.FAILED)) is None
