"""Run ``hotwhisk rollback``: make an earlier version current again."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import TYPE_CHECKING

from hotwhisk.cli import control
from hotwhisk.cli.terminal import Arguments, show_generation
from hotwhisk.config.option import count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Ask for the roll-back and print which generation is current now."""
    given = parser().parse(argv)
    if given.generation is None:
        answer = control.ask("rollback", given, environ)
    else:
        answer = control.ask("rollback_to", given, environ, generation=given.generation)
    print(f"rolled back: {show_generation(answer.get('generation'), None)} is current")
    return 0


def parser() -> Arguments:
    """Return the parser of this command's arguments."""
    arguments = Arguments("rollback", "[OPTION]... [GENERATION]")
    arguments.add_argument(
        "generation",
        metavar="GENERATION",
        nargs="?",
        type=_generation,
        help="its number in hotwhisk history (the version before the current one)",
    )
    control.add_arguments(arguments)
    return arguments


def _generation(text: str) -> int:
    try:
        return count(text)
    except ValueError:
        raise ArgumentTypeError(
            f'expected the number of a generation, as hotwhisk history shows it, got "{text}"'
        ) from None
