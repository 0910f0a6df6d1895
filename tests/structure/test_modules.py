"""Sizes, docstrings, public names; and every module can be imported alone, without a warning."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

import hotwhisk
from tests.structure.source import Source, sources

FILE_LINES = 300
MOST_LINES = 450
FUNCTION_LINES = 60
LONGER = {
    "worker.connection": "one socket, read and written: half of it would not be understood alone",
    "supervisor.rollout": "the decisions about generations: each refers to most of the others",
    "ipc.messages": "all that crosses between two processes, on one page",
}

EDGES = {"__init__", "build", "cli", "platform", "testing"}
"""Their ``__init__`` is an interface; the other folders only group modules."""


def ids(source: Source) -> str:
    return source.name


@pytest.mark.parametrize("source", sources(), ids=ids)
def test_a_file_can_be_read_in_one_sitting(source: Source) -> None:
    allowed = MOST_LINES if source.name in LONGER else FILE_LINES
    assert len(source.text.splitlines()) <= allowed


@pytest.mark.parametrize("source", sources(), ids=ids)
def test_a_function_fits_on_a_screen(source: Source) -> None:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < FUNCTION_LINES, node.name


@pytest.mark.parametrize("source", sources(), ids=ids)
def test_a_module_says_what_it_is_for(source: Source) -> None:
    assert ast.get_docstring(source.tree)


FOLDERS = [each for each in sources() if each.path.name == "__init__.py" and each.name not in EDGES]


@pytest.mark.parametrize("source", FOLDERS, ids=ids)
def test_a_folder_of_modules_is_a_name_and_costs_nothing(source: Source) -> None:
    assert len(source.tree.body) == 1, "only its docstring: a module is imported by its own name"


@pytest.mark.slow
@pytest.mark.timeout(300)  # a process for each of some 400 modules
def test_every_module_can_be_imported_alone() -> None:
    running = {}
    names = [source.name for source in sources() if source.name != "__main__"]
    for batch in (names[at : at + 8] for at in range(0, len(names), 8)):
        for name in batch:
            module = "hotwhisk" if name == "__init__" else f"hotwhisk.{name}"
            running[module] = subprocess.Popen(
                [sys.executable, "-W", "error", "-c", f"import {module}"],
                stderr=subprocess.PIPE,
                text=True,
            )
        for process in running.values():
            process.wait()
    failed = {}
    for name, process in running.items():
        _, errors = process.communicate()
        if process.returncode:
            failed[name] = errors
    assert not failed


def test_the_public_names() -> None:
    assert hotwhisk.__all__ == ["Context", "__version__", "on_startup", "start"]
    for name in hotwhisk.__all__:
        assert getattr(hotwhisk, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'strat'"):
        hotwhisk.strat  # noqa: B018


def test_importing_hotwhisk_is_light() -> None:
    # An action that says `import hotwhisk` gets none of its modules, nor ours, along with it.
    code = "import sys; b = set(sys.modules); import hotwhisk; print(*set(sys.modules) - b)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"hotwhisk", "__future__"}
