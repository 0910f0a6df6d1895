from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import hotwhisk
from hotwhisk.errors import UsageError
from hotwhisk.launch import Started, interpreter_flags, server_command


@pytest.mark.parametrize(
    ("line", "flags", "how", "rest"),
    [
        ("python a.py x", "", "", "a.py x"),
        ("python -X dev -W error a.py", "-X dev -W error", "", "a.py"),
        ("python -Xdev -Werror -O a.py -O", "-Xdev -Werror -O", "", "a.py -O"),
        ("python -m pkg.mod x", "", "m", "pkg.mod x"),
        ("python -Im pkg", "-I", "m", "pkg"),
        ("python -IBmpkg x", "-IB", "m", "pkg x"),
        ("python -uX dev -m pkg", "-uX dev", "m", "pkg"),
        ("python -c pass", "", "c", "pass"),
        ("python --check-hash-based-pycs never a.py", "--check-hash-based-pycs never", "", "a.py"),
        ("python -", "", "", "-"),
        ("python", "", "", ""),
    ],
)
def test_the_command_line_of_an_interpreter(line: str, flags: str, how: str, rest: str) -> None:
    assert interpreter_flags(line.split()) == (flags.split(), how, rest.split())


@pytest.mark.parametrize(
    ("line", "file", "spec", "command"),
    [
        ("python a.py", "/d/a.py", "", "-P -m hotwhisk serve -- /d/a.py"),
        ("python -X dev a.py --port 1", "/d/a.py", "", "-X dev -P -m hotwhisk serve --port 1 -- /d/a.py"),
        ("python -P a.py", "/d/a.py", "", "-P -m hotwhisk serve -- /d/a.py"),
        ("python -m pkg.mod", "/d/pkg/mod.py", "pkg.mod", "-P -m hotwhisk serve --module pkg.mod"),
        ("python -m pkg", "/d/pkg/__main__.py", "pkg.__main__", "-P -m hotwhisk serve --module pkg"),
        ("python folder", "folder/__main__.py", "__main__", "-P -m hotwhisk serve -- folder"),
        ("python x/folder/", "x/folder/__main__.py", "__main__", "-P -m hotwhisk serve -- x/folder/"),
    ],
)  # fmt: skip
def test_the_server_of_a_file(line: str, file: str, spec: str, command: str) -> None:
    assert server_command(Started(line.split(), [], file, spec)) == (command.split(), "")


@pytest.mark.parametrize(
    ("line", "argv", "spec", "command", "program"),
    [
        ("python -m debugpy --listen 5678 a.py --port 1", "a.py --port 1", "", "--port 1 -- /d/a.py", "debugpy"),
        ("python /ext/debugpy --connect 1 a.py", "a.py", "", "-- /d/a.py", "debugpy"),
        ("python -m pdb -c continue a.py", "a.py", "", "-- /d/a.py", "pdb"),
        ("python /bin/coverage run --branch a.py --workers 2", "a.py --workers 2", "", "--workers 2 -- /d/a.py", "coverage"),
        ("python -m coverage run -m pkg", "a.py", "pkg.__main__", "--module pkg", "coverage"),
        ("python -m cProfile -o out a.py", "a.py", "__main__", "-- /d/a.py", "cProfile"),
        ("python -m trace --count a.py", "a.py", "", "-- /d/a.py", "trace"),
        ("python -m runpy a", "/d/a.py", "a", "--module a", "runpy"),
        ("python -c pass", "a.py", "", "-- /d/a.py", "python -c"),
    ],
)  # fmt: skip
def test_the_arguments_of_a_program_that_runs_the_file_are_its_own(
    line: str, argv: str, spec: str, command: str, program: str
) -> None:
    found = server_command(Started(line.split(), argv.split(), "/d/a.py", spec))
    assert found == ([*["-P", "-m", "hotwhisk", "serve"], *command.split()], program)


@pytest.mark.parametrize("line", ["python", "python -", "python -c pass"])
def test_without_a_file_there_is_nothing_to_serve(line: str) -> None:
    with pytest.raises(UsageError, match="needs a file that can be run again"):
        server_command(Started(line.split(), [], ""))


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(UsageError, match=r"expected a function, got dict: pass the handler itself"):
        hotwhisk.start({})  # type: ignore[arg-type]


def test_an_imported_file_is_told_how_to_be_run(tmp_path: Path) -> None:
    (tmp_path / "inner.py").write_text("import hotwhisk\nhotwhisk.start(print)\n")
    (tmp_path / "outer.py").write_text("import inner\n")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "outer.py")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "start() was called in inner, which was imported, not run" in done.stderr


def test_a_file_becomes_its_server(tmp_path: Path) -> None:
    # --show-config after the file: the new interpreter answers, and no port is opened.
    file = tmp_path / "hello.py"
    file.write_text("import hotwhisk\nprint('above')\nhotwhisk.start(lambda value: value)\n")
    done = subprocess.run(
        [sys.executable, "-X", "utf8", str(file), "--workers", "3", "--show-config"],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "above"
    assert lines[1].split() == ["file", str(file), "argument"]
    assert any(line.split() == ["workers", "3", "--workers"] for line in lines)


@pytest.mark.parametrize("how", [["-c", "import hotwhisk; hotwhisk.start(print)"], ["-"]])
def test_a_command_or_standard_input_is_refused_clearly(how: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *how],
        input="import hotwhisk; hotwhisk.start(print)",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "start() needs a file that can be run again" in done.stderr
