"""The scripts of ``hotwhisk completion`` in real shells, on a terminal, by the tab key."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotwhisk.cli.completion import SHELLS
from hotwhisk.cli.completion_words import Command, commands
from tests.structure.source import ROOT
from tests.support.corpus.tools import require
from tests.support.server import HOTWHISK

pytestmark = pytest.mark.slow

SECONDS = 20.0
TAB, BEGIN_OF_LINE, CLEAR = b"\t", b"\x01", b"\x15"
START = {
    "bash": ["--norc", "--noprofile", "-i"],
    "zsh": ["-f", "-i"],
    "fish": ["--no-config", "-i"],
}
SHOW = "show() { printf '<%s>' \"$@\"; echo; }"
PREPARE = {
    "bash": f"source ./completions; {SHOW}",
    "zsh": (
        f"autoload -Uz compinit; compinit -u -D; source ./completions; bindkey -e; {SHOW};"
        " unsetopt auto_menu auto_remove_slash; LISTMAX=999"
    ),
    "fish": (
        "source ./completions; function show; printf '<%s>' $argv; echo; end;"
        " function fish_prompt; printf $PS1; end"
    ),
}
LIST = {
    "bash": "{line}\x1b?",  # possible-completions
    "zsh": "{line}\x04",  # delete-char-or-list
    "fish": "complete -C '{line}'\n",
}
PROMPT = "next:"
ROWS_AND_COLUMNS = struct.pack("HHHH", 500, 200, 0, 0)
"""A terminal that is larger than each list, because shells ask before they show a long one."""


class Shell:
    """An interactive shell on a terminal of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        environ = {"HOME": str(folder), "LANG": "C.UTF-8", "PATH": os.environ["PATH"]}
        environ |= {"PS1": PROMPT, "TERM": "dumb"}
        self.terminal, end = pty.openpty()
        self.process = subprocess.Popen(
            ["setsid", "--ctty", require(name), *START[name]],
            stdin=end, stdout=end, stderr=end, cwd=folder, env=environ,
        )  # fmt: skip
        os.close(end)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, ROWS_AND_COLUMNS)
        self.name = name
        self.read = b""
        self.type(PREPARE[name].encode() + b"\n")
        self.type(b"show ready\n")
        self.wait_shown(rb"<ready>")

    def type(self, keys: bytes) -> None:
        os.write(self.terminal, keys)

    def wait_shown(self, words: bytes) -> re.Match[bytes]:
        """
        Read until these words are shown as a line, and the prompt after it.

        Keys that come before the prompt would not reach the editor of the shell.
        """
        pattern = words + rb"\r?\n[^<>]*" + PROMPT.encode()
        end = time.monotonic() + SECONDS
        while not (found := re.search(pattern, self.read)):
            ready, _, _ = select.select([self.terminal], [], [], max(0.0, end - time.monotonic()))
            assert ready, self.read.decode(errors="replace")
            self.read += os.read(self.terminal, 65536)
        self.read = self.read[found.end() :]
        return found

    def complete(self, line: str) -> list[str]:
        """Type a line and the tab key, and return the words of the line then."""
        self.type(line.encode() + TAB + BEGIN_OF_LINE + b"show \n")
        found = self.wait_shown(rb"(<hotwhisk>(?:<[^<>]*>)*)")
        return re.findall(r"<([^<>]*)>", found[1].decode())[1:]

    def options(self, line: str) -> set[str]:
        """Return the options that are offered in place of the dash at the end of a line."""
        self.type(LIST[self.name].format(line=line).encode() + CLEAR + b"show end\n")
        shown = self.wait_shown(rb"<end>").string
        return set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", shown.decode(errors="replace")))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with files and folders to be completed."""
    made = tmp_path_factory.mktemp("completion")
    for name in ("hello.py", "two words.py", "token"):
        (made / name).touch()
    (made / "functions").mkdir()
    (made / "functional.txt").touch()
    return made


@pytest.fixture(scope="module", params=SHELLS)
def shell(request: pytest.FixtureRequest, folder: Path) -> Iterator[Shell]:
    script = subprocess.run(
        [*HOTWHISK[:-1], "completion", request.param], check=True, stdout=subprocess.PIPE
    )
    (folder / "completions").write_bytes(script.stdout)
    opened = Shell(request.param, folder)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("hotwhisk bui", ["build"]),
        ("hotwhisk --vers", ["--version"]),
        ("hotwhisk serve --show-c", ["serve", "--show-config"]),
        ("hotwhisk serve --no-wat", ["serve", "--no-watch"]),
        ("hotwhisk serve --watch hel", ["serve", "--watch", "hello.py"]),
        ("hotwhisk serve --token-file tok", ["serve", "--token-file", "token"]),
        ("hotwhisk serve --token-file=tok", ["serve", "--token-file=token"]),
        ("hotwhisk serve --run-dir func", ["serve", "--run-dir", "functions/"]),
        ("hotwhisk serve --host hel", ["serve", "--host", "hel"]),
        ("hotwhisk replace two", ["replace", "two words.py"]),
        ("hotwhisk replace hello.py --mai", ["replace", "hello.py", "--main"]),
        ("hotwhisk build hello.py --format z", ["build", "hello.py", "--format", "zip"]),
        ("hotwhisk status --js", ["status", "--json"]),
        ("hotwhisk status hel", ["status", "hel"]),
        ("hotwhisk up bac", ["up", "backup"]),
        ("hotwhisk up key --ne", ["up", "key", "--new"]),
        ("hotwhisk up --no-such", ["up", "--no-such"]),
        ("hotwhisk completion fi", ["completion", "fish"]),
        ("hotwhisk proxy -comp", ["proxy", "-compile"]),
    ],
)  # fmt: skip
def test_the_tab_key_completes_a_word(shell: Shell, line: str, words: list[str]) -> None:
    assert shell.complete(line) == words


@pytest.mark.parametrize("command", commands(), ids=lambda each: "-".join(each.words))
def test_each_option_of_each_command_is_offered(shell: Shell, command: Command) -> None:
    names = {name for flag in command.flags for name in flag.names}
    assert names <= shell.options(f"hotwhisk {' '.join(command.words)} -")


def test_the_page_of_commands_names_the_shells() -> None:
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert all(f"hotwhisk completion {shell}" in text for shell in SHELLS)
