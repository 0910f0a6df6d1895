"""
Suggest a known word for an unknown one. It is called only after a mistake.

There are three sources, in this order:
- words of other servers (Flask, uvicorn, gunicorn, functions-framework, ActionLoop), each with its
  counterpart here;
- a known word that was mistyped in an obvious way (one dash for two, a beginning, underscores,
  capitals);
- the known word that is most like the unknown one.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

CONFIG = "each option is a flag or a variable, and hotwhisk serve --show-config prints them all"
VARIABLES = "an action sees the server's own environment: env NAME=VALUE hotwhisk serve FILE"
ENV_FILE = "an action sees the server's own environment: set -a; . ./FILE; hotwhisk serve …"
VERSION = "did you mean hotwhisk --version?"
IMAGE = "it belongs to the entry point of an OpenWhisk image: hotwhisk proxy "

OTHER_SERVERS = {
    "--reload": "did you mean --watch?",
    "--auto-reload": "did you mean --watch?",
    "--hot-reload": "did you mean --watch?",
    "--debug": "errors are shown in full without it; did you mean --watch?",
    "--dev": "did you mean --watch?",
    "--bind": "did you mean --host and --port?",
    "-b": "did you mean --host and --port?",
    "--listen": "did you mean --host and --port?",
    "--address": "did you mean --host?",
    "-p": "did you mean --port?",
    "-P": "did you mean --port?",
    "-H": "did you mean --host?",
    "-w": "did you mean --workers?",
    "--processes": "did you mean --workers?",
    "--threads": "did you mean --workers?",
    "-t": "did you mean --timeout?",
    "--source": "FILE needs no flag: hotwhisk serve main.py",
    "--app": "FILE needs no flag: hotwhisk serve main.py",
    "-A": "FILE needs no flag: hotwhisk serve main.py",
    "--file": "FILE needs no flag: hotwhisk serve main.py",
    "-f": "FILE needs no flag: hotwhisk serve main.py",
    "--target": "did you mean --main?",
    "--function": "did you mean --main?",
    "--handler": "did you mean --main?",
    "--entrypoint": "did you mean --main?",
    "-m": "did you mean --module?",
    "--config": CONFIG,
    "-c": CONFIG,
    "--env": VARIABLES,
    "-e": VARIABLES,
    "--env-file": ENV_FILE,
    "--env_file": ENV_FILE,
    "--version": VERSION,
    "-V": VERSION,
    "-v": VERSION,
    "--verbose": "hotwhisk status shows what a server is doing",
    "--log-level": "hotwhisk status shows what a server is doing",
    "-debug": IMAGE + "-debug",
    "-compile": IMAGE + "-compile MAIN",
    "--compile": IMAGE + "-compile MAIN",
    "-env": IMAGE + "-compile MAIN -env JSON",
    "-version": VERSION,
}  # fmt: skip
"""Options of other servers, and the counterpart for ``serve``."""

OTHER_COMMANDS = {
    "init": "new NAME",
    "create": "new NAME",
    "watch": "serve --watch FILE",
    "run": "serve FILE",
    "start": "serve FILE",
    "deploy": "replace FILE",
    "update": "replace FILE",
    "reload": "replace FILE",
    "restart": "replace FILE",
    "call": "invoke",
    "post": "invoke",
    "curl": "invoke",
    "ps": "status",
    "ls": "status",
    "list": "status",
    "undo": "rollback",
    "check": "doctor",
    "package": "build FILE",
    "bundle": "build FILE",
    "diff": "compare",
}
"""Commands of other servers, and their counterpart here."""


def for_serve_option(flag: str, known: Iterable[str]) -> str:
    """Return the text that follows "unknown option FLAG" of ``hotwhisk serve``."""
    advice = OTHER_SERVERS.get(flag)
    return f"; {advice}" if advice else for_option(flag, known, "serve")


def for_option(flag: str, known: Iterable[str], command: str) -> str:
    """Return the text that follows "unknown option FLAG" of a command."""
    if OTHER_SERVERS.get(flag) == VERSION:
        return f"; {VERSION}"
    return nearest(flag, known) or f"; hotwhisk {command} --help lists the options"


def for_command(word: str, commands: Iterable[str], serve_flags: Iterable[str]) -> str:
    """Return the text that follows "unknown command WORD" of ``hotwhisk`` itself."""
    if word in OTHER_COMMANDS:
        return f"; did you mean hotwhisk {OTHER_COMMANDS[word]}?"
    advice = OTHER_SERVERS.get(word, "")
    if advice == VERSION or advice.startswith(IMAGE):
        return f"; {advice}"
    if word.endswith((".py", ".zip", "/")):
        return f"; did you mean hotwhisk serve {word}?"
    if word.partition("=")[0] in serve_flags:
        return f"; did you mean hotwhisk serve {word}?"
    return nearest(word, commands) or "; hotwhisk --help lists the commands"


def for_parameter(word: str) -> str:
    """Return the text that follows an unknown word of a command that takes ``-p KEY VALUE``."""
    key, equals, value = word.partition("=")
    if word.startswith(("{", "[")):
        return (
            "; to give JSON, write it to a file and give -P FILE, or to standard input, with -P -"
        )
    return f"; did you mean -p {key} {value}?" if equals and key.isidentifier() else ""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a question that names the known word most like this one; empty if none is like it."""
    names = {_bare(name): name for name in known}
    bare = _bare(word)
    begun = (name for each, name in names.items() if len(bare) > 1 and each.startswith(bare))
    found = names.get(bare) or next(begun, "") or _alike(bare, names)
    return f"; did you mean {found}?" if found else ""


def nearest_file(name: str, names: Iterable[str]) -> str:
    """
    Return the name of a file that is most like a missing one, or an empty text.

    That both end in ``.py`` does not make two names alike.
    """
    stems = {_stem(each): each for each in sorted(names, key=lambda each: _end(each) == _end(name))}
    return _alike(_stem(name), stems)


def _alike(bare: str, names: dict[str, str]) -> str:
    """Return the name whose bare form is most like this one, or an empty text."""
    from difflib import get_close_matches

    start = _shared([bare, *names])
    rests = {each[start:]: name for each, name in names.items()}
    close = get_close_matches(bare[start:], rests, n=1)
    return rests[close[0]] if close else ""


def _shared(words: list[str]) -> int:
    """Return how long a beginning is that all words have, such as that of our variables."""
    first, last = min(words), max(words)
    pairs = enumerate(zip(first, last, strict=False))
    same = next((at for at, (one, other) in pairs if one != other), len(first))
    return first.rfind("-", 0, same) + 1


def _bare(word: str) -> str:
    """Return a word without what is often mistyped: leading dashes, capitals, underscores."""
    return word.lstrip("-").replace("_", "-").lower()


def _stem(name: str) -> str:
    return (name.rpartition(".")[0] or name).lower()


def _end(name: str) -> str:
    return name.rpartition(".")[2]
