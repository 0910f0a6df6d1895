"""Write the whole corpus into a folder, as ``hotwhisk compare`` takes it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.corpus.case import EVENTS, cases
from tests.support.corpus.recipes import build

ADDRESS = r"\b0x[0-9a-f]+\b"
"""Matches what differs from run to run in an action's output: addresses of values in memory."""


@dataclass(frozen=True)
class Exported:
    """
    Arguments for one call of ``hotwhisk compare``.

    Its actions have handlers of the same name and need the same of the machine, and of the image
    ``variables``.
    """

    main: str
    needs: tuple[str, ...]
    variables: dict[str, str]
    file: Path
    """The file with the events, as compare reads them."""
    events: dict[Path, list[object]] = field(default_factory=dict)
    """The events by the file that is posted."""

    def arguments(self) -> list[str]:
        """Return all arguments but the two runtimes, which have ``variables``."""
        options = ["--main", self.main, "--ignore", ADDRESS, "--events", str(self.file)]
        return [*options, *map(str, self.events)]


def export(target: Path, server: str) -> list[Exported]:
    """Build every action below ``target``. ``server`` is the address of their `FakeService`."""
    groups: dict[tuple[str, ...], Exported] = {}
    for case in cases(server):
        needs = tuple(sorted(case.needs))
        for variables in case.runtimes:
            key = (case.main, *needs, *(f"{name}={text}" for name, text in variables.items()))
            place = target / "-".join(key).replace("/", "_")
            place.mkdir(parents=True, exist_ok=True)
            group = groups.setdefault(key, Exported(case.main, needs, variables, place / EVENTS))
            group.events[build(case, place)] = [each["event"] for each in case.activations]
    for group in groups.values():
        document = {path.stem: events for path, events in group.events.items()}
        group.file.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return list(groups.values())
