"""Tell actions from the modules that lie beside them and that they import."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from typing import Final

_SOURCE: Final = ".py"


def has_handler(path: str, handler: str) -> bool:
    """
    Return whether a source may define the handler of that name.

    It may if it cannot be read or parsed; then the reason is what the user must see.
    """
    try:
        with open(path, "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        return True
    return not {handler, "*"}.isdisjoint(_names(tree))


def is_named_beside(path: str) -> bool:
    """Return whether the text of another source in the folder has the name of this module."""
    folder, name = os.path.split(path)
    word = re.compile(rb"\b" + re.escape(os.fsencode(name.removesuffix(_SOURCE))) + rb"\b")
    others = (f"{folder}/{each}" for each in os.listdir(folder) if each.endswith(_SOURCE))
    return any(word.search(_content(each)) for each in others if each != path)


def _names(tree: ast.Module) -> Iterator[str]:
    """Yield the names that a source defines, outside functions and classes."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
                continue
            case ast.Lambda():
                continue
            case ast.Name(ctx=ast.Store()):
                yield node.id
            case ast.alias():
                yield node.asname or node.name
        waiting += ast.iter_child_nodes(node)


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
