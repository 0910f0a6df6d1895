"""
Gather the words that a shell completes: commands, options, and what their values are.

They are read from the parsers of the commands and from the table of options of ``serve``. So a new
command or option is completed without a further line. What a value is, is told by its placeholder:
FILE, PATH, SOURCE and ACTION are files, FOLDER is a folder.
"""

from __future__ import annotations

import re
from argparse import Action
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from typing import Final

from hotwhisk.cli import proxy
from hotwhisk.cli.command_names import COMMANDS, module_of
from hotwhisk.cli.terminal import Arguments
from hotwhisk.config.option import Option
from hotwhisk.config.options import OPTIONS

_FILE: Final = re.compile(r"\b(FILE|PATH|SOURCE|ACTION)\b")
_FOLDER: Final = re.compile(r"\bFOLDER\b")


class ValueKind(Enum):
    """What stands in the place of a value."""

    FILE = "file"
    FOLDER = "folder"
    TEXT = "text"
    """A text that only the user knows."""


@dataclass(frozen=True, slots=True)
class Value:
    """What is completed in one place: files, folders, some words, or nothing."""

    name: str
    kind: ValueKind = ValueKind.TEXT
    words: tuple[str, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether there is anything that can be offered."""
        return self.kind is not ValueKind.TEXT or bool(self.words)


@dataclass(frozen=True, slots=True)
class Flag:
    """An option by all its names, such as ``-o`` and ``--output``, and the values after it."""

    names: tuple[str, ...]
    help: str
    values: tuple[Value, ...] = ()
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """
    A command, or a command of a command, with what may follow it.

    ``words`` are what is typed: ``("up", "key")``. ``argument`` is what the command takes beside
    options; None if it takes nothing, or a text that only the user knows.
    """

    words: tuple[str, ...]
    help: str
    flags: tuple[Flag, ...]
    argument: Value | None = None
    repeats: bool = False
    """Whether there may be several arguments."""


def commands() -> list[Command]:
    """Return all commands."""
    return [command for name, text in COMMANDS.items() for command in _commands(name, text)]


def _commands(name: str, text: str) -> Iterator[Command]:
    served = [_of_option(option) for option in OPTIONS]
    if name == "serve":
        shown = Flag(("--show-config",), "print the values in effect and where each is from")
        flags = (*served, *_switched_off(), shown, _HELP)
        yield Command((name,), text, flags, Value("FILE", ValueKind.FILE))
    elif name == "proxy":
        own = [Flag((flag,), "", _values_of_proxy(flag)) for flag in proxy.FLAGS]
        yield Command((name,), text, (*own, *served, _HELP))
    else:
        module = import_module(module_of(name))
        further = getattr(module, "subcommands", dict[str, Arguments])()
        command = _of_parser((name,), text, module.parser())
        if further:
            words = Value("COMMAND", words=tuple(further))
            command = Command((name,), text, command.flags, words)
        yield command
        for word, parser in further.items():
            yield _of_parser((name, word), parser.description or "", parser)


_HELP: Final = Flag(("-h", "--help"), "show this help message and exit")


def _of_option(option: Option) -> Flag:
    values = () if option.is_switch else (_value(option.metavar),)
    return Flag((option.flag,), option.help, values, option.is_list)


def _switched_off() -> Iterator[Flag]:
    for option in OPTIONS:
        if option.is_switch:
            yield Flag((f"--no-{option.flag[2:]}",), f"turn {option.flag} off")


def _values_of_proxy(flag: str) -> tuple[Value, ...]:
    return (Value(flag[1:].upper()),) if flag in proxy.WITH_VALUE else ()


def _of_parser(words: tuple[str, ...], text: str, parser: Arguments) -> Command:
    """Return what a parser of argparse takes; argparse has no public list of it."""
    flags = [_of_action(action) for action in parser._actions if action.option_strings]
    positional = [action for action in parser._actions if not action.option_strings]
    values = [_values(action)[0] for action in positional]
    repeats = any(action.nargs in ("+", "*") for action in positional)
    argument = values[0] if values and values[0].is_known else None
    return Command(words, text, tuple(flags), argument, repeats)


def _of_action(action: Action) -> Flag:
    repeats = type(action).__name__ == "_AppendAction"
    values = () if action.nargs == 0 else _values(action)
    return Flag(tuple(action.option_strings), action.help or "", values, repeats)


def _values(action: Action) -> tuple[Value, ...]:
    if action.choices is not None:
        return (Value(action.dest.upper(), words=tuple(map(str, action.choices))),)
    names = action.metavar or action.dest.upper()
    return tuple(_value(name) for name in ((names,) if isinstance(names, str) else names))


_WORDS: Final = {"FORMAT": ("text", "json")}
"""The values of an option, by its placeholder, where there are few."""


def _value(name: str) -> Value:
    kind = (
        ValueKind.FILE
        if _FILE.search(name)
        else ValueKind.FOLDER
        if _FOLDER.search(name)
        else ValueKind.TEXT
    )
    return Value(name, kind, _WORDS.get(name, ()))
