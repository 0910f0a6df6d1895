"""
The life of one worker: STATE × EVENT → state, as a table.

Pure. What each step sets in motion stands in `succession`; this table says which steps there
are, and the diagram in docs/lifecycle.md is drawn from it. A pair that is not in the table
changes nothing: it is a message that crossed with a death or a recall.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """The states of a worker."""

    BLANK = "blank"
    """A desk: no action; answers for the dead and for nobody."""
    LOADING = "loading"
    """Was told to load; has not said ready."""
    SERVING = "serving"
    """Ready, of the generation in charge, and takes connections."""
    RELIEVED = "relieved"
    """Hangs in its handler; its other connections were taken back."""
    RETIRED = "retired"
    """Of an earlier generation; finishes what it handles."""
    DOOMED = "doomed"
    """Killed; its death is awaited."""


class Event(StrEnum):
    """The events in a worker's life."""

    LOAD = "load"
    READY = "ready"
    FAILED = "failed"
    OVERDUE = "overdue"
    """Neither ready nor failed in time."""
    STUCK = "stuck"
    """
    The worker is in one run for longer than a tick, or does not answer a ping.

    For a worker that loads: it has not begun to load.
    """
    RELEASED = "released"
    """Followed a recall."""
    RETIRE = "retire"
    EXPIRED = "expired"
    """A run of it is past its deadline."""


TABLE: Mapping[tuple[State, Event], State] = {
    (State.BLANK, Event.LOAD): State.LOADING,
    (State.BLANK, Event.STUCK): State.RETIRED,
    (State.LOADING, Event.READY): State.SERVING,
    (State.LOADING, Event.FAILED): State.DOOMED,
    (State.LOADING, Event.OVERDUE): State.DOOMED,
    (State.LOADING, Event.STUCK): State.DOOMED,
    (State.SERVING, Event.STUCK): State.RELIEVED,
    (State.SERVING, Event.RETIRE): State.RETIRED,
    (State.SERVING, Event.EXPIRED): State.DOOMED,
    (State.RELIEVED, Event.RELEASED): State.SERVING,
    (State.RELIEVED, Event.RETIRE): State.RETIRED,
    (State.RELIEVED, Event.EXPIRED): State.DOOMED,
    (State.RETIRED, Event.EXPIRED): State.DOOMED,
}


def step(state: State, event: Event) -> State | None:
    """Return the state that follows an event; None if the event means nothing in this state."""
    return TABLE.get((state, event))
