from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import hotwhisk
from hotwhisk.errors import UsageError
from hotwhisk.launch import interpreter_flags, server_command


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
    ("line", "spec", "command"),
    [
        ("python a.py", None, "-P -m hotwhisk serve -- /d/a.py"),
        ("python -X dev a.py --port 1", None, "-X dev -P -m hotwhisk serve --port 1 -- /d/a.py"),
        ("python -P a.py", None, "-P -m hotwhisk serve -- /d/a.py"),
        ("python -m pkg.mod", "pkg.mod", "-P -m hotwhisk serve --module pkg.mod"),
        ("python -m pkg", "pkg.__main__", "-P -m hotwhisk serve --module pkg"),
        ("python folder", "__main__", "-P -m hotwhisk serve -- folder"),
    ],
)
def test_the_server_of_a_file(line: str, spec: str | None, command: str) -> None:
    assert server_command(line.split(), spec, "/d/a.py") == command.split()


@pytest.mark.parametrize("line", ["python", "python -", "python -c pass"])
def test_without_a_file_there_is_nothing_to_serve(line: str) -> None:
    with pytest.raises(UsageError, match="needs a file that can be run again"):
        server_command(line.split(), None, None)


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
