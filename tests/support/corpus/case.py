"""Describe a folder of the corpus: its action, how it is built, its events, what is expected."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hotwhisk.platform import Action, Limits

CORPUS = Path(__file__).parents[2] / "corpus"
EVENTS = "events.json"
KEYS = {"about", "note", "main", "init", "build", "needs", "runtimes", "activations"}


@dataclass(frozen=True)
class Case:
    """One action of the corpus."""

    folder: Path
    about: str
    activations: list[dict[str, Any]]
    main: str = "main"
    init: dict[str, object] = field(default_factory=dict)
    """Init parameters: those that the user marked as environment."""
    build: list[str] = field(default_factory=list)
    """Steps that make the files to post from those that the user wrote, see `recipes`."""
    needs: list[str] = field(default_factory=list)
    """Programs that it needs to run."""
    runtimes: list[dict[str, str]] = field(default_factory=lambda: [{}])
    """Variables of the images for which it is made; it must run in each."""
    note: str = ""

    @property
    def name(self) -> str:
        """The name of the case and of its folder."""
        return self.folder.name

    def action(self, code: str, timeout: int = 30_000) -> Action:
        """
        Return it as the platform stores it; ``code`` is what `read_code` made of the
        built file.
        """
        return Action(
            self.name,
            code,
            main=self.main,
            init_parameters=self.init,
            limits=Limits(timeout=timeout),
        )


def cases(server: str = "{server}") -> list[Case]:
    """Return all cases; ``server`` is the address of the service that some of them call."""
    return [read_case(path.parent, server) for path in sorted(CORPUS.glob(f"*/{EVENTS}"))]


def read_case(folder: Path, server: str) -> Case:
    """Return one case."""
    text = (folder / EVENTS).read_text(encoding="utf-8")
    content = json.loads(text.replace("{server}", server))
    assert set(content) <= KEYS, f"{folder.name}: {set(content) - KEYS}"
    return Case(folder, **content)
