"""Run ``hotwhisk rollback``: make the previous version current again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hotwhisk.cli import control
from hotwhisk.cli.terminal import Arguments, show_generation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Ask for the roll-back and print which generation is current now."""
    answer = control.ask("rollback", parser().parse(argv), environ)
    print(f"rolled back: {show_generation(answer.get('generation'), None)} is current")
    return 0


def parser() -> Arguments:
    """Return the parser of this command's arguments."""
    arguments = Arguments("rollback", "[OPTION]...")
    control.add_arguments(arguments)
    return arguments
