"""What an artifact carries of hotwhisk: all that a server needs, and little else."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hotwhisk.build import build
from hotwhisk.build.own_package import LEFT_OUT, shortened
from tests.structure.source import PACKAGE, Source, sources
from tests.support.server import ROOT

LARGEST = 280 << 10


@pytest.fixture(scope="module")
def hello(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("built") / "hello"
    build(ROOT / "examples" / "hello.py", output)
    return output


def modules(artifact: Path) -> list[str]:
    with zipfile.ZipFile(artifact) as opened:
        return [name for name in opened.namelist() if name.startswith("hotwhisk/")]


def test_what_is_left_out_exists() -> None:
    assert [name for name in LEFT_OUT if not (PACKAGE / name).exists()] == []


def test_a_small_action_makes_a_small_artifact(hello: Path) -> None:
    assert hello.stat().st_size <= LARGEST


def test_every_module_that_is_carried_can_be_imported_from_the_artifact_alone(hello: Path) -> None:
    names = [name.removesuffix(".py").replace("/", ".") for name in modules(hello)]
    names = [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]
    code = "import sys; sys.path.insert(0, sys.argv[1]); [__import__(n) for n in sys.argv[2:]]"
    command = [sys.executable, "-I", "-S", "-W", "error", "-c", code, str(hello), *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=hello.parent)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [["inspect", "hello"], ["doctor"]])
def test_a_command_that_is_not_carried_asks_for_an_installed_hotwhisk(
    hello: Path, arguments: list[str]
) -> None:
    command = [sys.executable, "-I", str(hello), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "install hotwhisk" in done.stderr


FOR_ANNOTATIONS = ("from __future__ import annotations", "TYPE_CHECKING = False")
"""What a shortened source has only if it still needs it."""


class Bare(ast.NodeTransformer):
    """Takes out of a tree what a shortened source lacks."""

    functions = 0

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [each for each in body if not self.is_unneeded(each)]  # type: ignore[attr-defined]
            if body and not node.body:  # type: ignore[attr-defined]
                node.body = [ast.Pass(lineno=body[0].lineno)]  # type: ignore[attr-defined]
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self.visit_function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self.visit_function(node)

    def visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        self.functions += 1
        try:
            return self.generic_visit(node)
        finally:
            self.functions -= 1

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if not self.functions or not node.value:
            return node
        return ast.Assign([node.target], node.value, lineno=node.lineno)

    def is_unneeded(self, node: ast.stmt) -> bool:
        if isinstance(node, ast.If):
            return ast.unparse(node.test) == "TYPE_CHECKING" and not node.orelse
        if ast.unparse(node) in FOR_ANNOTATIONS:
            return True
        value = node.value if isinstance(node, ast.Expr) else None
        return isinstance(value, ast.Constant) and isinstance(value.value, str)


def outline(tree: ast.AST) -> tuple[str, list[int]]:
    rows = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    return ast.dump(tree), rows


@pytest.mark.parametrize("source", sources(), ids=lambda source: source.name)
def test_a_shortened_module_is_the_same_program_with_each_statement_on_its_line(
    source: Source,
) -> None:
    short = ast.parse(shortened(source.text))
    assert outline(Bare().visit(short)) == outline(Bare().visit(ast.parse(source.text)))


def test_docstrings_comments_annotations_and_imports_for_type_checkers_are_left_out() -> None:
    source = (
        'class A:\n    """\n    One.\n    """\n\n'
        'def f(x: int, *, y: str = "é") -> None:\n    return "# two"  # why\n\n'
        'def g(x: "int" = 1, *z: A) -> dict[str, int]:\n    """Three."""\n    return "# four"\n'
        "if TYPE_CHECKING:\n    class Five:\n        '6'\n"
        "def h():\n    x: int = 1\n    y: int\n    A.z: list[int] = []\n"
    )
    assert shortened(source) == (
        "class A:\n pass\n\n\n\n"
        'def f(x:int,*,y:str="é")->None:\n return"# two"\n\n'
        'def g(x=1,*z):\n\n return"# four"\n\n\n\n'
        "def h():\n x=1\n y:int\n A.z=[]\n"
    )


def test_a_level_of_indentation_is_one_space_but_the_lines_of_a_text_stay() -> None:
    source = 'if a:\n    if b:\n        c = """\n    d\n        """, (\n            e)\n    f = f"""\n    {g}\n    """\n'
    assert shortened(source) == (
        'if a:\n if b:\n  c="""\n    d\n        """,(\n   e)\n f=f"""\n    {g}\n    """\n'
    )


@pytest.mark.parametrize(
    ("line", "short"),
    [
        ("a = [b - 1, -c, not d]", "a=[b-1,-c,not d]"),
        ("a = 1 if b else 0x2 if c else 3 .real", "a=1 if b else 0x2 if c else 3 .real"),
        (
            "a = \"b = c\" if d in ('e', 'f') else r'g  h'",
            "a=\"b = c\"if d in('e','f')else r'g  h'",
        ),
        ("a = f'{ b = } { c + 1 }  {d:>4}'", "a=f'{ b = } { c + 1 }  {d:>4}'"),
        ("lambda a, *b: a @ b[1 : 2]", "lambda a,*b:a@b[1:2]"),
    ],
)
def test_spaces_go_where_none_is_needed(line: str, short: str) -> None:
    assert shortened(line) == f"{short}\n"
    assert ast.dump(ast.parse(short)) == ast.dump(ast.parse(line))


def test_what_annotations_need_stays_where_some_are_left() -> None:
    start = "from __future__ import annotations\nTYPE_CHECKING = False\n"
    condition = "if TYPE_CHECKING:\n    from typing import Any\nelse:\n    Any = None\n"
    assert shortened(f"{start}def f(a: int) -> None: ...\n") == "\n\ndef f(a):...\n"
    assert shortened(f"{start}class A:\n    b: int\n") == (
        "from __future__ import annotations\n\nclass A:\n b:int\n"
    )
    assert shortened(start + condition).splitlines()[:3] == [
        "",
        "TYPE_CHECKING=False",
        "if TYPE_CHECKING:",
    ]
