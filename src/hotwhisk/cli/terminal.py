"""Provide the parts that commands share: first screen, parser of arguments, colours, numbers."""

from __future__ import annotations

import argparse
import os
import re
import sys
from typing import TYPE_CHECKING, NoReturn

from hotwhisk import __version__
from hotwhisk.cli.command_names import COMMANDS
from hotwhisk.config.option import port as read_port
from hotwhisk.config.options import OPTIONS
from hotwhisk.config.suggestions import for_command, for_option, for_parameter
from hotwhisk.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_FLAG = re.compile("--.+|-[A-Za-z]")

EXAMPLES = """\
  hotwhisk new greeter                     make the folder of an action, with a test
  hotwhisk dev greeter                     make every save live; a page shows calls and logs
  hotwhisk up                              be OpenWhisk on this machine, for wsk and others
  hotwhisk serve hello.py                  serve a file on http://127.0.0.1:8080
  hotwhisk invoke -p name Ada              call it: {"value":{"name":"Ada"}} to /run
  hotwhisk replace hello.py                replace the version, without losing a request
  hotwhisk rollback                        go back to the version before it
  hotwhisk serve --watch hello.py          replace at every save"""


def open_streams() -> None:
    """
    Open standard streams that were closed.

    Otherwise the next file to be opened would get the number of one of them, in this process and in
    every program of an action.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)  # the lowest that is free
            if null != number:
                os.dup2(null, number)
                os.close(null)
            os.set_inheritable(number, True)
            # Like Python's own, it does not close its descriptor when it is replaced.
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))


class Arguments(argparse.ArgumentParser):
    """A parser of one command's arguments whose mistakes are UsageErrors with a suggestion."""

    def __init__(self, command: str, usage: str) -> None:
        super().__init__(
            prog=f"hotwhisk {command}",
            usage=f"hotwhisk {command} {usage}",
            description=COMMANDS[command][0].upper() + COMMANDS[command][1:] + ".",
            allow_abbrev=False,
        )

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Read the arguments. An unknown argument is refused before a missing one."""
        flags = [flag for action in self._actions for flag in action.option_strings]
        known = {*flags, "--"}
        for word in argv:
            if word == "--":
                break
            flag = word.partition("=")[0]
            if _FLAG.fullmatch(flag) and flag not in known:
                hint = for_option(flag, flags, self.prog.split()[1])
                raise UsageError(f"unknown option {flag}{hint}")
        given, rest = self.parse_known_args(argv)
        if rest:
            hint = for_parameter(rest[0]) if "-p" in flags else ""
            self.error(f"unrecognized arguments: {' '.join(rest)}{hint}")
        return given

    def error(self, message: str) -> NoReturn:
        """Raise the error for a mistake; argparse calls this for every mistake."""
        raise UsageError(f"{message}; see {self.prog} --help")


def port_number(text: str) -> int:
    """Return the port that a flag of a command gives, for argparse."""
    try:
        return read_port(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'expected {error}, got "{text}"') from None


def first_screen() -> str:
    """Return the text that ``hotwhisk`` alone shows."""
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:{width}}  {text}" for name, text in COMMANDS.items())
    return f"""\
hotwhisk {__version__}: an action server that replaces itself

commands:
{commands}

examples:
{EXAMPLES}

hotwhisk COMMAND --help shows the options of a command; hotwhisk --version the version."""


def other(argv: Sequence[str]) -> int:
    """Handle a line without a command: print the first screen or the version, or refuse a word."""
    word = argv[0] if argv else "--help"
    if word in ("--help", "-h", "help"):
        print(first_screen())
        return 0
    if word in ("--version", "-V", "version"):
        print(f"hotwhisk {__version__}")
        return 0
    known = [*COMMANDS, "--help", "--version"]
    hint = for_command(word, known, [option.flag for option in OPTIONS])
    kind = "option" if word.startswith("-") else "command"
    raise UsageError(f"unknown {kind} {word}{hint}")


def abandon_output() -> None:
    """Send the rest of standard output to /dev/null, because its reader has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def show_generation(number: object, digest: object) -> str:
    """Return a generation for people: its number and the beginning of its digest."""
    name = str(digest or "").removeprefix("sha256:")
    return f"generation {number} (sha256:{name[:12]}…)" if name else f"generation {number}"


def show_duration(seconds: float) -> str:
    """Return a time for people, in the unit that suits it."""
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = int(seconds) // 60
    if minutes < 120:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h" if hours < 48 else f"{hours // 24} days"


def show_table(rows: Sequence[Sequence[str]], align: str = "<") -> list[str]:
    """
    Return rows as lines, with two spaces before each and between the columns.

    ``align`` puts each text at the left (``<``) or the right (``>``) of its column.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(f"{text:{align}{width}}" for text, width in zip(row, widths, strict=True))
        for row in rows
    ]
    return [f"  {line}".rstrip() for line in lines]
