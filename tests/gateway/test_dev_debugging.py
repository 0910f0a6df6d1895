"""Stop in an action of ``hotwhisk dev``: in an editor, and by ``breakpoint()`` in a terminal."""

from __future__ import annotations

import importlib.util
import os
import pty
import re
import select
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Self
from urllib.error import HTTPError

import pytest

from tests.gateway.dev import DevProcess, write
from tests.gateway.editor import Editor

pytestmark = pytest.mark.slow

SOURCE = """\
def main(event):
    word = {word!r}
    return {{"word": word}}
"""


def test_a_breakpoint_holds_in_every_version(tmp_path: Path) -> None:
    assert importlib.util.find_spec("debugpy"), "pip install debugpy: the extra dev has it"
    write(tmp_path, {"hello.py": SOURCE.format(word="first")})
    file = tmp_path / "hello.py"
    with DevProcess(file, "--debug", "--debug-port", "0") as dev:
        port = int(dev.wait(r"to 127\.0\.0\.1:(\d+)"))
        dev.wait_live("hello 0.0.1")
        with Editor(port) as editor:
            editor.attach(file, 3)
            assert stopped_in_call(dev, editor) == (str(file), 3, {"word": "first"})
            file.write_text(SOURCE.format(word="second"))
            dev.wait_live("hello 0.0.2")
            assert stopped_in_call(dev, editor) == (str(file), 3, {"word": "second"})
            file.write_text("def main(event) return\n")
            dev.wait("hello was not replaced")
            assert stopped_in_call(dev, editor) == (str(file), 3, {"word": "second"})
            file.write_text(SOURCE.format(word="third"))
            dev.wait_live("hello 0.0.3")
            assert stopped_in_call(dev, editor) == (str(file), 3, {"word": "third"})
        file.write_text(SOURCE.format(word="fourth"))
        dev.wait_live("hello 0.0.4")
        assert dev.result("hello") == {"word": "fourth"}  # no editor, no stop
        with Editor(port) as editor:
            editor.attach(file, 2)
            assert stopped_in_call(dev, editor) == (str(file), 2, {"word": "fourth"})


def stopped_in_call(dev: DevProcess, editor: Editor) -> tuple[str, int, object]:
    """Call the action, let it stop and go on; return where it stopped, and its result."""
    results: list[object] = []
    calling = threading.Thread(target=lambda: results.append(dev.result("hello")))
    calling.start()
    thread, path, line = editor.wait_stop()
    editor.go_on(thread)
    calling.join(20.0)
    return path, line, results[0]


def test_breakpoint_gets_the_terminal(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "hello.py": "def main(event):\n    word = 'here'\n    breakpoint()\n    return {'a': word}\n"
        },
    )
    with TerminalDev(tmp_path / "hello.py", tmp_path / "data") as dev:
        dev.wait(r"hello 0\.0\.1 is live after")
        results: list[bytes] = []
        calling = threading.Thread(target=lambda: results.append(dev.call("hello")))
        calling.start()
        dev.wait(r"hello\.py\(\d\)main\(\)")
        dev.wait(r"\(Pdb\) ")
        dev.type("word")
        dev.wait("'here'")
        dev.wait(r"\(Pdb\) ")
        dev.type("word = 'changed'")
        dev.wait(r"\(Pdb\) ")
        dev.type("q")
        calling.join(20.0)
        assert results == [b'{"a":"changed"}']
        dev.wait(r"hello .*success")
        stopped = threading.Thread(target=dev.call_in_vain, args=("hello",))
        stopped.start()
        dev.wait(r"\(Pdb\) ")
        dev.type("\x03", end="")  # also while a call is stopped
        assert dev.process.wait(10.0) == 0
        stopped.join(20.0)


class TerminalDev:
    """A ``hotwhisk dev`` in a terminal of its own, at which the test types."""

    def __init__(self, path: Path, data: Path) -> None:
        self._command = [
            sys.executable, "-m", "hotwhisk", "dev", str(path), "--no-open", "--web",
            "--port", "0", "--data", str(data),
        ]  # fmt: skip
        self._command[:0] = ["setsid", "--ctty"]  # so that Ctrl-C is a signal

    def __enter__(self) -> Self:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(self._command, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self._text, self._seen = "", 0
        self._url = self.wait(r"(http://127\.0\.0\.1:\d+)")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def wait(self, pattern: str) -> str:
        deadline = time.monotonic() + 20.0
        while not (found := re.compile(pattern).search(self._text, self._seen)):
            ready = select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))[0]
            assert ready, f"no {pattern!r} in {self._text!r}"
            self._text += os.read(self._ours, 65536).decode(errors="replace")
        self._seen = found.end()
        return found[0]

    def type(self, text: str, end: str = "\n") -> None:
        os.write(self._ours, f"{text}{end}".encode())

    def call(self, name: str) -> bytes:
        with urllib.request.urlopen(f"{self._url}/{name}.json", timeout=30.0) as answer:
            content: bytes = answer.read()
            return content

    def call_in_vain(self, name: str) -> None:
        with pytest.raises(OSError, match=r".") as caught:
            self.call(name)
        if isinstance(caught.value, HTTPError):
            caught.value.close()
