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
    "--version": "did you mean hotwhisk --version?",
    "-V": "did you mean hotwhisk --version?",
    "-v": "did you mean hotwhisk --version?",
    "--verbose": "hotwhisk status shows what a server is doing",
    "--log-level": "hotwhisk status shows what a server is doing",
    "-debug": IMAGE + "-debug",
    "-compile": IMAGE + "-compile MAIN",
    "--compile": IMAGE + "-compile MAIN",
    "-env": IMAGE + "-compile MAIN -env JSON",
    "-version": "did you mean hotwhisk --version?",
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
    return nearest(flag, known) or f"; hotwhisk {command} --help lists the options"


def for_command(word: str, commands: Iterable[str], serve_flags: Iterable[str]) -> str:
    """Return the text that follows "unknown command WORD" of ``hotwhisk`` itself."""
    if word in OTHER_COMMANDS:
        return f"; did you mean hotwhisk {OTHER_COMMANDS[word]}?"
    if (advice := OTHER_SERVERS.get(word, "")).startswith(IMAGE):
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
    from difflib import get_close_matches

    names = list(known)
    bare = _bare(word)
    same = [name for name in names if _bare(name) == bare]
    begun = [name for name in names if len(bare) > 1 and _bare(name).startswith(bare)]
    close = same or begun or get_close_matches(word, names, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def _bare(word: str) -> str:
    """Return a word without what is often mistyped: leading dashes, capitals, underscores."""
    return word.lstrip("-").replace("_", "-").lower()
