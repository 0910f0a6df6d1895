"""
Choose the modules of hotwhisk that an artifact carries, and shorten them.

An artifact serves by itself, also as a function of AWS Lambda, and it has the commands that call or
ask a running server. It does not build, compare, inspect, watch, test or examine a machine: an
installed hotwhisk does that. The package is stored as source, so that any Python can run it.
Docstrings, comments and imports for type checkers are left out, and the annotations of functions:
they are a third of the size. A level of indentation is one space, and no space is left where Python
needs none. Every line keeps its number, so tracebacks stay right.
"""

from __future__ import annotations

import ast
import io
import stat
import tokenize
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import hotwhisk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hotwhisk.build.layout import Members

LEFT_OUT: Final = (
    "build/", "gateway/", "mcp/", "platform/", "testing/", "watch/",
    "cli/bootstrap.py", "cli/build.py", "cli/compare.py", "cli/completion.py",
    "cli/completion_scripts.py", "cli/completion_words.py", "cli/dev.py", "cli/doctor.py",
    "cli/inspect.py", "cli/mcp.py", "cli/new.py", "cli/up.py", "cli/up_data.py", "cli/watch.py",
    "artifact/members.py", "faster_json.py", "server/current.py", "server/doctor.py",
)  # fmt: skip
"""What an artifact does without: folders and files of the package."""

_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
_FILE: Final = stat.S_IFREG | 0o644


@cache  # a second of work, and the same for every artifact
def own_package() -> Members:
    """Return the modules that an artifact carries, and its ``__main__.py``."""
    root = Path(hotwhisk.__file__).parent
    members = {"__main__.py": _member(root / "cli" / "bootstrap.py")}
    for path in root.rglob("*.py"):
        name = path.relative_to(root).as_posix()
        if not name.startswith(LEFT_OUT):
            members[f"hotwhisk/{name}"] = _member(path)
    return members


def shortened(source: str) -> str:
    """Return a source without docstrings, comments, annotations, imports for type checkers."""
    lines = source.splitlines()
    for token in _tokens(lines):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip()
    tree = ast.parse(source)
    for row, start, end in sorted(_annotations(tree, lines), reverse=True):
        lines[row] = lines[row][:start] + lines[row][end:]
    for node, replacement in _unneeded(tree):
        first, last = node.lineno - 1, node.end_lineno or node.lineno
        lines[first:last] = [replacement, *[""] * (last - first - 1)]
    for row in _without_effect(lines):
        lines[row] = ""
    tokens = [*_tokens(lines)]
    for row, start, end in sorted(_spaces(tokens), reverse=True):
        lines[row] = lines[row][:start] + lines[row][end:]
    return "\n".join(_indented(lines, tokens)) + "\n"


def _without_effect(lines: list[str]) -> Iterator[int]:
    """Yield the rows of what only annotations and imports for type checkers needed."""
    tree = ast.parse("\n".join(lines))
    nodes = [*ast.walk(tree)]
    names = [each for each in nodes if isinstance(each, ast.Name) and each.id == "TYPE_CHECKING"]
    annotated = any(getattr(each, "annotation", None) for each in nodes)
    annotated = annotated or any(getattr(each, "returns", None) for each in nodes)
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__" and not annotated:
            yield node.lineno - 1
        if ast.unparse(node) == "TYPE_CHECKING = False" and len(names) == 1:
            yield node.lineno - 1


def _spaces(tokens: list[tokenize.TokenInfo]) -> Iterator[tuple[int, int, int]]:
    """Yield each space that Python does not need: its row, and the columns of its start and end."""
    before: tokenize.TokenInfo | None = None
    texts = 0  # f-strings that are open: within one, a space may be part of the text
    for token in tokens:
        if not token.string.strip():
            continue
        if before is not None and before.end[0] == token.start[0] and not texts:
            row, start, end = token.start[0] - 1, before.end[1], token.start[1]
            if start < end and not _would_join(before.string, token.string):
                yield row, start, end
        kind = tokenize.tok_name[token.type]
        texts += kind.startswith("FSTRING_START") - kind.startswith("FSTRING_END")
        before = token


def _would_join(left: str, right: str) -> bool:
    """Return whether two parts of a line need a space between them."""
    words = [each.isalnum() or each == "_" for each in (left[-1:], right[:1])]
    return all(words) or (left[-1:].isdigit() and right.startswith("."))


def _tokens(lines: list[str]) -> Iterator[tokenize.TokenInfo]:
    return tokenize.generate_tokens(io.StringIO("\n".join(lines)).readline)


def _indented(lines: list[str], tokens: list[tokenize.TokenInfo]) -> Iterator[str]:
    """Yield lines that are indented by one space a level instead of four, but not within texts."""
    within: set[int] = set()
    for token in tokens:
        if token.type == tokenize.STRING or tokenize.tok_name[token.type].startswith("FSTRING"):
            within.update(range(token.start[0] + 1, token.end[0] + 1))
    for row, line in enumerate(lines, 1):
        code = line.lstrip(" ")
        yield line if row in within else " " * ((len(line) - len(code)) // 4) + code


def _member(path: Path) -> tuple[int, bytes]:
    return _FILE, shortened(path.read_text(encoding="utf-8")).encode()


def _annotations(tree: ast.Module, lines: list[str]) -> Iterator[tuple[int, int, int]]:
    """
    Yield the row of each annotation in a function, and the columns of its start and end.

    Classes keep theirs, because a `Record` reads its fields from them. Columns of the syntax tree
    count bytes, so a line that is not ASCII keeps its annotations.
    """
    functions = [each for each in ast.walk(tree) if isinstance(each, _FUNCTIONS)]
    within = {node for each in functions for node in ast.walk(each)}
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            found, start = node.annotation, node.col_offset + len(node.arg)
        elif isinstance(node, _FUNCTIONS) and node.returns:
            found = node.returns
            start = lines[found.lineno - 1].rindex(" ->", 0, found.col_offset)
        elif isinstance(node, ast.AnnAssign) and node.value and node in within:
            found, start = node.annotation, node.target.end_col_offset or 0
        else:
            continue
        if found and found.end_lineno == found.lineno and lines[found.lineno - 1].isascii():
            yield found.lineno - 1, start, found.end_col_offset or start


def _unneeded(tree: ast.Module) -> Iterator[tuple[ast.stmt, str]]:
    """Yield each statement that can go, with what stands in its place."""
    gone: set[ast.AST] = set()
    for parent in ast.walk(tree):
        body = getattr(parent, "body", None)
        if parent in gone or not isinstance(body, list):
            continue  # within what goes, or of a lambda
        for node in body:
            if _is_text(node) or _is_for_types(node):
                gone.update(ast.walk(node))
                yield node, " " * node.col_offset + "pass" if len(body) == 1 else ""


def _is_text(node: ast.stmt) -> bool:
    constant = node.value if isinstance(node, ast.Expr) else None
    return isinstance(constant, ast.Constant) and isinstance(constant.value, str)


def _is_for_types(node: ast.stmt) -> bool:
    condition = node.test if isinstance(node, ast.If) and not node.orelse else None
    return isinstance(condition, ast.Name) and condition.id == "TYPE_CHECKING"
