"""What an artifact carries of hotwhisk: all that a server needs, and little else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hotwhisk.build import build
from hotwhisk.build.own_package import LEFT_OUT, shortened
from tests.structure.source import PACKAGE, Source, sources
from tests.support.server import ROOT

LARGEST = 178 << 10


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


@pytest.mark.parametrize("source", sources(), ids=lambda source: source.name)
def test_a_shortened_module_keeps_each_statement_on_its_line(source: Source) -> None:
    before, after = source.text.splitlines(), shortened(source.text).splitlines()
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        assert old.startswith(new) or new.strip() == "pass"
    compile("\n".join(after), source.name, "exec")


def test_docstrings_comments_and_imports_for_type_checkers_are_left_out() -> None:
    source = (
        'class A:\n    """\n    One.\n    """\n\n'
        'def f(x):  # what for\n    """Two."""\n    return "# three"\n'
        "if TYPE_CHECKING:\n    import four\n"
    )
    expected = 'class A:\n    pass\n\n\n\ndef f(x):\n\n    return "# three"\n\n\n'
    assert shortened(source) == expected
