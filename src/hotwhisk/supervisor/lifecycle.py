"""
The life of one worker: STATE × EVENT → state, as a table.

Pure. What each step sets in motion stands in `rollout`; this table says which steps there
are, and the diagram in ARCHITECTURE.md is drawn from it. A pair that is not in the table
changes nothing: it is a message that crossed with a death or a recall.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """The states of a worker."""

    SPARE = "spare"
    """A spare: no action; answers for the dead and for nobody."""
    LOADING = "loading"
    """Was told to load; has not said ready."""
    SERVING = "serving"
    """Ready, of the current generation, and takes connections."""
    STUCK = "stuck"
    """Hangs in its handler; its other connections were taken back."""
    DRAINING = "draining"
    """Of an earlier generation; finishes what it handles."""
    KILLED = "killed"
    """Killed; its death is awaited."""


class Event(StrEnum):
    """The events in a worker's life."""

    LOAD = "load"
    READY = "ready"
    FAILED = "failed"
    LOAD_TIMED_OUT = "load timed out"
    """Neither ready nor failed in time."""
    STUCK = "stuck"
    """
    The worker is in one run for longer than a tick, or does not answer a ping.

    For a worker that loads: it has not begun to load.
    """
    RELEASED = "released"
    """Followed a recall."""
    DRAIN = "drain"
    RUN_TIMED_OUT = "run timed out"
    """A run of it is past its deadline."""


TABLE: Mapping[tuple[State, Event], State] = {
    (State.SPARE, Event.LOAD): State.LOADING,
    (State.SPARE, Event.STUCK): State.DRAINING,
    (State.LOADING, Event.READY): State.SERVING,
    (State.LOADING, Event.FAILED): State.KILLED,
    (State.LOADING, Event.LOAD_TIMED_OUT): State.KILLED,
    (State.LOADING, Event.STUCK): State.KILLED,
    (State.SERVING, Event.STUCK): State.STUCK,
    (State.SERVING, Event.DRAIN): State.DRAINING,
    (State.SERVING, Event.RUN_TIMED_OUT): State.KILLED,
    (State.STUCK, Event.RELEASED): State.SERVING,
    (State.STUCK, Event.DRAIN): State.DRAINING,
    (State.STUCK, Event.RUN_TIMED_OUT): State.KILLED,
    (State.DRAINING, Event.RUN_TIMED_OUT): State.KILLED,
}


def step(state: State, event: Event) -> State | None:
    """Return the state that follows an event; None if the event means nothing in this state."""
    return TABLE.get((state, event))
