"""The phases of a connection, and their picture in docs/protocol.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hotwhisk.ipc.scoreboard import Phase
from hotwhisk.supervisor.recovery import RECOVERY
from tests.support.phases import EVENTS, STEPS, diagram

DOCUMENT = Path(__file__).parents[3] / "docs" / "protocol.md"


def test_the_documented_diagram_is_the_table_of_phases() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    found = re.findall(r"```mermaid\n(stateDiagram.*?)\n```", text, re.DOTALL)
    assert found == [diagram()], f"put this into docs/protocol.md:\n\n{diagram()}\n"


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_is_reached_and_left(phase: Phase) -> None:
    assert phase in {after for _, after in STEPS}
    assert phase in {before for before, _ in STEPS}


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_has_a_recovery(phase: Phase) -> None:
    assert phase in RECOVERY or phase is Phase.RESPONDING


def test_only_an_answer_follows_a_request_of_the_action() -> None:
    after_run = {event for event, (befores, _) in EVENTS.items() if Phase.RUNNING in befores}
    assert after_run == {"first part", "answer", "worker exited", "closed"}
    after_part = {event for event, (befores, _) in EVENTS.items() if Phase.STREAMING in befores}
    assert after_part == {"last part", "worker exited", "closed"}
