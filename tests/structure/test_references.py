"""
A name in single backquotes is a reference: what it names exists, in the package or in Python.

Other code, such as a variable, a file or a literal, has double backquotes.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import re
import sys
from collections.abc import Iterator

from tests.structure.source import Source, sources
from tests.structure.test_words import prose

REFERENCE = re.compile(r"(?<!`)`([A-Za-z_][\w.]*)`(?!`)")


def test_what_a_docstring_refers_to_exists() -> None:
    known = {name for source in sources() for name in defined(source)}
    missing = [
        f"{source.name}:{number}: `{name}`"
        for source in sources()
        for number, line in prose(source.path)
        for name in REFERENCE.findall(line)
        if name.rpartition(".")[2] not in known
        and name.partition(".")[0]
        not in {*sys.stdlib_module_names, *dir(builtins), *keyword.kwlist}
    ]
    assert not missing


def defined(source: Source) -> Iterator[str]:
    """Yield the names of a module, and those that it defines, imports or uses as attributes."""
    yield from source.name.split(".")
    for node in ast.walk(source.tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.Name(ctx=ast.Store()):
                yield node.id
            case ast.arg():
                yield node.arg
            case ast.Attribute():
                yield node.attr
            case ast.alias():
                yield from node.name.split(".")
