"""
The whole corpus in a folder, as ``hotwhisk compare`` takes it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tests.support.corpus.case import EVENTS, cases
from tests.support.corpus.recipes import build

ADDRESS = r"\b0x[0-9a-f]+\b"
"""What differs from run to run in what an action prints: where a dying program's values lay."""


@dataclass(frozen=True)
class Exported:
    """
    What one call of ``hotwhisk compare`` takes: actions whose handlers have the same name and
    that need the same of the machine.
    """

    main: str
    needs: tuple[str, ...]
    files: tuple[Path, ...]
    events: Path

    def arguments(self) -> list[str]:
        """
        All but the two runtimes.
        """
        options = ["--main", self.main, "--ignore", ADDRESS, "--events", str(self.events)]
        return [*options, *map(str, self.files)]


def export(target: Path, server: str) -> list[Exported]:
    """
    Build every action below ``target``. ``server`` is where they will find their `Neighbour`.
    """
    groups: dict[tuple[str, tuple[str, ...]], dict[Path, list[object]]] = {}
    for case in cases(server):
        key = (case.main, tuple(sorted(case.needs)))
        place = target / "-".join((case.main, *key[1]))
        place.mkdir(parents=True, exist_ok=True)
        events = [activation["event"] for activation in case.activations]
        groups.setdefault(key, {})[build(case, place)] = events
    exported = []
    for (main, needs), built in groups.items():
        events_file = next(iter(built)).parent / EVENTS
        document = {path.stem: events for path, events in built.items()}
        events_file.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
        exported.append(Exported(main, needs, tuple(built), events_file))
    return exported
