"""
The phases of a connection as a table: PHASE × EVENT → phase.

The source changes phases by single stores into the scoreboard, so it needs no table. The unit tests
of the worker and of the supervisor check each store against this one, and the diagram in
docs/protocol.md is drawn from it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import pytest

import hotwhisk
from hotwhisk.ipc.scoreboard import Phase, Scoreboard
from hotwhisk.ipc.worker_counters import WorkerCounters

OURS = hotwhisk.__path__[0]
ANY = frozenset(Phase) - {Phase.FREE, Phase.CLOSED}
UNANSWERED = frozenset({Phase.IDLE, Phase.BUFFERED, Phase.PARKED})

EVENTS: Mapping[str, tuple[frozenset[Phase], Phase]] = {
    "accepted": (frozenset({Phase.FREE}), Phase.IDLE),
    "read in part": (UNANSWERED | {Phase.RESPONDING}, Phase.BUFFERED),
    "run that has to wait": (frozenset({Phase.IDLE, Phase.BUFFERED}), Phase.PARKED),
    "run": (UNANSWERED | {Phase.RESPONDING}, Phase.RUNNING),
    "init": (frozenset({Phase.IDLE, Phase.BUFFERED, Phase.RESPONDING}), Phase.INIT_PENDING),
    "first part": (frozenset({Phase.RUNNING}), Phase.STREAMING),
    "answer": (
        UNANSWERED | {Phase.RUNNING, Phase.INIT_PENDING, Phase.RESPONDING},
        Phase.RESPONDING,
    ),
    "last part": (frozenset({Phase.STREAMING}), Phase.RESPONDING),
    "answered": (frozenset({Phase.RESPONDING}), Phase.IDLE),
    "last answer": (frozenset({Phase.RESPONDING}), Phase.LINGERING),
    "worker exited": (ANY - {Phase.LINGERING}, Phase.RUNNING),
    "closed": (ANY, Phase.CLOSED),
    "removed": (frozenset({Phase.CLOSED}), Phase.FREE),
}
"""For each event the phases before it, and the phase after it."""

STEPS = {(before, after) for befores, after in EVENTS.values() for before in befores}
REPEATED = {(phase, phase) for phase in Phase}
CORRECTED = {
    (Phase.CLOSED, Phase.IDLE),
    (Phase.FREE, Phase.RESPONDING),
    (Phase.FREE, Phase.CLOSED),
}
"""
A worker has closed a connection that it does not have, or has stored a phase that does not exist,
which counts as FREE.
"""

STORES = ("set_phase", "set_running", "set_responding", "set_lingering", "begin_connection")


def diagram() -> str:
    """
    Return the table as a Mermaid state diagram, without exits and closes, which
    come anywhere.
    """
    lines = ["stateDiagram-v2"]
    for event, (befores, after) in EVENTS.items():
        if event not in ("worker exited", "closed"):
            lines += [
                f"    {before.name} --> {after.name}: {event}"
                for before in sorted(befores)
                if before is not after
            ]
    return "\n".join(lines).replace("FREE", "[*]")


def check_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each store of a phase that the source makes checked against the table."""
    for name in STORES:
        _check_store(monkeypatch, Scoreboard, name)
    _check_store(monkeypatch, WorkerCounters, "respond")


def _check_store(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> None:
    store = getattr(owner, name)

    def checked(self: Any, number: int, *values: Any) -> None:
        scoreboard = self if isinstance(self, Scoreboard) else self._scoreboard
        before = scoreboard.phase(number)
        store(self, number, *values)
        step = before, scoreboard.phase(number)
        if sys._getframe(1).f_code.co_filename.startswith(OURS):
            assert step in STEPS | REPEATED | CORRECTED, f"{step[0].name} to {step[1].name}"

    monkeypatch.setattr(owner, name, checked)
