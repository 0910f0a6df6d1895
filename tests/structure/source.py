"""The source tree as data, for the tests of its structure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "hotwhisk"


@dataclass(frozen=True)
class Source:
    path: Path

    @property
    def name(self) -> str:
        """
        The module's name without ``hotwhisk.``, such as ``cli.serve``; the package is
        ``cli``.
        """
        parts = self.path.relative_to(PACKAGE).with_suffix("").parts
        return ".".join(part for part in parts if part != "__init__") or "__init__"

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    def imports(self, *, types: bool = False) -> set[str]:
        """
        Return the modules that this one may import, by full name; with ``types``, also those that
        only its annotations need.
        """
        found: set[str] = set()
        for node in ast.walk(self.tree) if types else _running(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
        return found

    def own_imports(self, *, types: bool = False) -> set[str]:
        """Return those of this package that exist, by their `name`; also imports in a function."""
        found = self.imports(types=types)
        named = {name.partition(".")[2] for name in found if name.startswith("hotwhisk.")}
        modules = {each.name for each in sources()}
        values = {name for name in named - modules if "." not in name}  # hotwhisk.__version__
        return (named & modules) | (
            {"__init__"} if values or "import hotwhisk\n" in self.text else set()
        )

    def uses(self, owner: str, attribute: str) -> bool:
        """Whether ``owner.attribute`` occurs."""
        return any(
            isinstance(node, ast.Attribute)
            and node.attr == attribute
            and isinstance(node.value, ast.Name)
            and node.value.id == owner
            for node in ast.walk(self.tree)
        )

    def calls(self, function: str) -> bool:
        """Whether a bare name is called."""
        return any(
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == function
            for node in ast.walk(self.tree)
        )


def sources() -> list[Source]:
    """Return every module of the package."""
    return [Source(path) for path in sorted(PACKAGE.rglob("*.py"))]


def _running(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        yield child
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            for other in child.orelse:
                yield other
                yield from _running(other)
        else:
            yield from _running(child)
