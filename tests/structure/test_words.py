"""
One word for each thing, and sentences that say who does what.

The words are those of the [glossary](../../ARCHITECTURE.md#glossary). A synonym, or a word that
makes the reader guess who does something, fails with its line and with what to write instead. Prose
is read in Markdown, docstrings, comments, and texts for users; names where Python defines them.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from tests.structure.source import ROOT

SYNONYMS = {
    r"desks?": "spare",
    r"blank (?:worker|process)|(?:worker|process) (?:is|that is|was) blank": "spare",
    r"bur(?:y|ies|ied|ying)": "remove, reap",
    r"(?:un)?born|births?": "started, forked",
    r"in charge|(?:take|takes|taken|took|taking) charge|charge of": "current, becomes current",
    r"successions?": "rollout",
    r"crews?": "processes",
    r"nurser(?:y|ies)": "templates",
    r"hearings?|hears?|heard": "receive, learn",
    r"custody": "owner",
    r"premises": "resources, run folder",
    r"rosters?": "workers",
    r"ledgers?": "scoreboard",
    r"tenures?": "epoch",
    r"debts?": "recovery, unanswered request",
    r"owe(?:s|d)?|owing": "missing, unanswered, still has to",
    r"retire(?:s|d)?|retiring": "drain, draining",
    r"relieve(?:s|d)?|relieving": "stuck",
    r"doom(?:s|ed)?": "kill, killed",
    r"bereaved|the dead": "a worker that exited",
    r"distrust(?:s|ed)?": "ban",
    r"hous(?:e|es|ed)|at home": "isolation, server_modules()",
    r"weighed|weighing": "Alternatives considered",
    r"hand(?:s|ed|ing)? (?:over|on)|hand-?over|take-?over": "assign, move, pass on, replace",
    r"last words?": "remaining messages, last output",
    r"second hand": "indirectly",
}
"""Regular expressions for words that the glossary replaces, each with what to write instead."""

RIDDLES = {
    r"nobody|no one": "which process or person does not do it",
    r"somebody|someone": "another process, a client, a person",
    r"whoever": "the process that, the client that",
    r"(?:what|that|which) (?:is|are) (?-i:none)": 'what it is: "a text that is not JSON"',
    r"no judge?ment": "what the caller does then",
    r"for want of": "because there is no",
}
"""The same for words that do not name who does something."""

NAMES = {
    "desk", "bury", "buried", "born", "unborn", "birth", "charge", "crew", "custody", "nursery",
    "premises", "succession", "roster", "debt", "debts", "tenure", "ledger", "retire", "retired",
    "relieved", "doom", "doomed", "bereaved", "house", "distrust", "deed", "standin", "neighbour",
    "nobody", "somebody", "whoever", "hear", "heard", "owed", "lent", "handover", "takeover",
}  # fmt: skip
"""Words that a name of a function, class, parameter or variable must not have."""

EXCEPTIONS = {
    "CHANGELOG.md": "history: a version is described in the words that it had",
    "tests/structure/test_words.py": "the lists themselves",
}
"""Files that are not read, and why."""

QUOTES = {
    "no bad version in charge": "the name of a promise",
    "USER nobody": "the name of a user",
    "no_bad_version_in_charge": "the test of that promise",
}
"""Texts in which such a word stays, and why."""


def pattern(word: str) -> re.Pattern[str]:
    """Return a regular expression that matches these words alone, in any case."""
    return re.compile(rf"(?<![\w-])(?:{word})(?![\w-])", re.IGNORECASE)


BANNED = {pattern(word): plain for word, plain in (SYNONYMS | RIDDLES).items()}
ANY = pattern("|".join(SYNONYMS | RIDDLES))
FOLDERS = ("src", "tests", "bench", "conformance", "docs", "examples", "packaging")
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def files(suffix: str) -> list[Path]:
    """Return the files of the project with this suffix."""
    found = list(ROOT.glob(f"*{suffix}"))
    for folder in FOLDERS:
        found += (ROOT / folder).rglob(f"*{suffix}")
    return sorted(path for path in found if named(path) not in EXCEPTIONS)


def named(path: Path) -> str:
    """Return the path of a file in the project."""
    return str(path.relative_to(ROOT))


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file that are prose, with their numbers."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    if path.suffix == ".md":
        yield from enumerate(lines, 1)
        return
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Expr(value=ast.Constant(value=str()), lineno=first, end_lineno=int(last)):
                yield from ((number, lines[number - 1]) for number in range(first, last + 1))
            case ast.Constant(value=str(message), lineno=first) if "src/" in named(path):
                yield from enumerate(message.splitlines(), first)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def names(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the names that a Python file defines, with their lines."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.lineno, node.attr


def without_quotes(text: str) -> str:
    """Return a text without the `QUOTES` in it."""
    for quote in QUOTES:
        text = re.sub(quote, "", text, flags=re.IGNORECASE)
    return text


def test_prose_has_plain_words() -> None:
    assert not [
        f'{named(path)}:{number}: "{found[0]}": write {plain}'
        for path in files(".md") + files(".py")
        for number, line in prose(path)
        if ANY.search(line)
        for banned, plain in BANNED.items()
        for found in banned.finditer(without_quotes(line))
    ]


def test_names_have_plain_words() -> None:
    assert not [
        f"{named(path)}:{number}: {name}: find a plain word in the glossary"
        for path in files(".py")
        for number, name in names(path)
        if NAMES & {word.lower() for word in WORD.findall(without_quotes(name))}
    ]
