"""Stop in an action of ``hotwhisk dev``: in an editor, and by ``breakpoint()`` in a terminal."""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path

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
    with DevProcess(file, "--debug", "0") as dev:
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
