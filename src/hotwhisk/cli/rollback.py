"""Run ``hotwhisk rollback``: make the previous version current again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hotwhisk.cli import control
from hotwhisk.cli.terminal import Arguments, show_generation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Ask for the roll-back and print which generation is current now."""
    parser = Arguments("rollback", "[OPTION]...")
    control.add_arguments(parser)
    answer = control.ask("rollback", parser.parse(argv), environ)
    generation = answer.get("generation")
    if isinstance(generation, dict):
        shown = show_generation(generation.get("number"), generation.get("digest"))
    else:
        shown = show_generation(generation, None)
    print(f"rolled back: {shown} is current")
    return 0
