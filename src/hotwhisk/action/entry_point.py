"""
Decide from the text of an action's source how it is run, before any of it runs.

As a rule a handler is found by its name (``main``). Then the module is called ``main__``, so that
an ``if __name__ == "__main__"`` block does not run. A file that is written for `hotwhisk.start`
gives its handler in just that block, so it must be run as ``__main__``. Code must not run twice, so
it is not possible to try both.

The compiler makes the syntax trees. The module `ast` is not needed to walk over one, and its import
would add 1.7 ms to each start.
"""

from __future__ import annotations

import _ast as ast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def parse(source: bytes, name: str) -> ast.Module:
    """Return the tree of a source."""
    tree: Any = compile(source, name, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    return tree  # type: ignore[no-any-return]  # mypy knows no flag that asks for a tree


def enters_by_start(tree: ast.Module, main: str) -> bool:
    """
    Return whether a source must be run as ``__main__``, where it calls ``start(handler)``.

    This is the case if it calls hotwhisk's ``start`` and does not bind ``main`` at its top level.
    It is also the case if ``main`` is a function that itself calls ``start``, as the usual ``def
    main()`` of a script does, which is not a handler.
    """
    names, modules = _start_names(tree)
    if not _calls_start(tree, names, modules):
        return False
    for node in _top_level(tree.body):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == main:
            return _calls_start(node, names, modules)
        if main in _bound_by(node):
            return False
    return True


def _walk(tree: ast.AST) -> Iterator[ast.AST]:
    """Return a node and all nodes below it, in no particular order."""
    waiting: list[object] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, ast.AST):
            yield node
            waiting += [getattr(node, field, None) for field in node._fields]


def _start_names(tree: ast.Module) -> tuple[set[str], set[str]]:
    """Return the names by which a source knows ``start``, and its names for ``hotwhisk``."""
    names: set[str] = set()
    modules: set[str] = set()
    for node in _walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "hotwhisk" and not node.level:
            names |= {a.asname or a.name for a in node.names if a.name == "start"}
        elif isinstance(node, ast.Import):
            modules |= {a.asname or a.name for a in node.names if a.name == "hotwhisk"}
    return names, modules


def _calls_start(tree: ast.AST, names: set[str], modules: set[str]) -> bool:
    """Return whether ``start(...)`` or ``hotwhisk.start(...)`` is called anywhere below a node."""
    for node in _walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Name) and called.id in names:
            return True
        if (
            isinstance(called, ast.Attribute)
            and called.attr == "start"
            and isinstance(called.value, ast.Name)
            and called.value.id in modules
        ):
            return True
    return False


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Return the statements that run at the top level of a module named ``main__``."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and _is_main_guard(node.test):
            yield from _top_level(node.orelse)
            continue
        for field in ("body", "orelse", "finalbody"):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                yield from _top_level(getattr(node, field, []))
        for handler in getattr(node, "handlers", []):
            yield from _top_level(handler.body)


def _is_main_guard(test: ast.expr) -> bool:
    """Return whether a condition is ``__name__ == "__main__"``, either way round."""
    if not (isinstance(test, ast.Compare) and len(test.comparators) == 1):
        return False
    sides = (test.left, test.comparators[0])
    return any(isinstance(side, ast.Name) and side.id == "__name__" for side in sides) and any(
        isinstance(side, ast.Constant) and side.value == "__main__" for side in sides
    )


def _bound_by(node: ast.stmt) -> set[str]:
    """Return the names that one statement binds, without the names in the blocks below it."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.Expr)):
        return {
            part.id
            for part in _walk(node)
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
        }
    return set()
