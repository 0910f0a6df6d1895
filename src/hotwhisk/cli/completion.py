"""Run ``hotwhisk completion``: print the script by which a shell completes commands and options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hotwhisk.cli.terminal import Arguments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHELLS: Final = ("bash", "zsh", "fish")


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Print the script for the shell SHELL."""
    del environ
    given = parser().parse(argv)
    from hotwhisk.cli import completion_scripts
    from hotwhisk.cli.completion_words import commands

    print(getattr(completion_scripts, given.shell)(commands()), end="")
    return 0


def parser() -> Arguments:
    """Return the parser of this command's arguments."""
    arguments = Arguments("completion", "SHELL")
    arguments.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")
    arguments.epilog = (
        "in ~/.bashrc or ~/.zshrc: source <(hotwhisk completion bash); for fish: "
        "hotwhisk completion fish >~/.config/fish/completions/hotwhisk.fish"
    )
    return arguments
