"""Save actions of ``hotwhisk dev`` whose import takes long, or never ends."""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.gateway.dev import DevProcess, write

pytestmark = pytest.mark.slow

HANGS = "import threading\nthreading.Event().wait()\ndef main(event): return {}\n"
GOOD = "def main(event): return {'by': 'good'}\n"
SOON = 10.0
"""Seconds: much more than a load takes, and much less than the limit of an action."""


def test_an_action_that_hangs_at_import_holds_up_no_other(tmp_path: Path) -> None:
    write(tmp_path / "packages", {"hangs.py": HANGS, "other.py": GOOD})
    with DevProcess(tmp_path) as dev:
        dev.wait_live("other 0.0.1")
        dev.wait(r"still loading hangs \(2 s\): its import has not ended; a save of it begins anew")
        assert "hangs is still loading (2 s): its import has not ended; no version" in dev.page("/")
        (tmp_path / "packages/other.py").write_text(GOOD + "\n")
        dev.wait(r"other 0\.0\.2 is live after .* · packages/other\.py changed", SOON)


def test_a_save_of_an_action_that_hangs_at_import_replaces_the_load_at_once(tmp_path: Path) -> None:
    action = tmp_path / "hello.py"
    action.write_text(GOOD)
    with DevProcess(action) as dev:
        dev.wait_live("hello 0.0.1")
        os.mkfifo(tmp_path / "begun")
        action.write_text(f"open({str(tmp_path / 'begun')!r}, 'w').close()\n{HANGS}")
        (tmp_path / "begun").read_text()  # ends when the import has begun
        assert dev.result("hello") == {"by": "good"}  # meanwhile
        action.write_text(GOOD.replace("good", "better"))
        dev.wait(r"hello 0\.0\.2 is live after .* · hello\.py changed", SOON)
        assert dev.result("hello") == {"by": "better"}
        assert "does not load" not in dev.stderr()
        assert "loading" not in dev.page("/")


def test_a_load_that_was_given_up_is_forgotten_with_its_action(tmp_path: Path) -> None:
    write(tmp_path / "packages", {"hangs.py": HANGS, "other.py": GOOD})
    with DevProcess(tmp_path) as dev:
        dev.wait(r"still loading hangs \(2 s\)")
        (tmp_path / "packages/hangs.py").unlink()
        dev.wait("hangs was removed", SOON)
        assert "hangs" not in dev.page("/")


def test_saves_that_come_faster_than_the_import_replace_while_they_come(tmp_path: Path) -> None:
    source = "import time\ntime.sleep(0.5)\ndef main(event): return {{'number': {}}}\n"
    action, enough = tmp_path / "hello.py", threading.Event()
    action.write_text(source.format(0))
    written = [0]

    def save() -> None:
        while not enough.wait(0.3):
            written.append(len(written))
            fresh = tmp_path / "fresh"
            fresh.write_text(source.format(written[-1]))
            fresh.rename(action)

    with DevProcess(action) as dev:
        dev.wait_live("hello 0.0.1")
        saving = threading.Thread(target=save)
        saving.start()
        try:
            dev.wait_live("hello 0.0.4")
            assert saving.is_alive()
        finally:
            enough.set()
            saving.join()
        while dev.result("hello") != {"number": written[-1]}:
            dev.wait("is live after", SOON)


SCRIPT = '# /// script\n# dependencies = ["wanted"]\n# ///\n'


def silent_index() -> tuple[socket.socket, dict[str, str]]:
    """Return an index of packages that never answers, and the variables that name it."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(SOON)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/simple"
    return listener, {"UV_DEFAULT_INDEX": url, "UV_NO_CACHE": "1"}


def wait_end(asked: socket.socket) -> None:
    """Wait until the program at the other end has ended."""
    asked.settimeout(SOON)
    try:
        while asked.recv(65536):
            pass
    except ConnectionResetError:
        pass


def test_a_save_ends_the_wait_for_libraries_that_it_does_not_want(tmp_path: Path) -> None:
    action = tmp_path / "hello.py"
    action.write_text(SCRIPT + GOOD)
    listener, env = silent_index()
    with listener, ExitStack() as stack, DevProcess(action, env=env) as dev:
        asked = stack.enter_context(listener.accept()[0])
        dev.wait(r"still loading hello \(2 s\): its libraries are not installed")
        action.write_text(GOOD)
        dev.wait_live("hello 0.0.1")
        wait_end(asked)
        assert "does not load" not in dev.stderr()


def test_an_interrupt_ends_an_installation_with_its_programs(tmp_path: Path) -> None:
    action = tmp_path / "hello.py"
    action.write_text(SCRIPT + GOOD)
    listener, env = silent_index()
    with listener, ExitStack() as stack, DevProcess(action, env=env) as dev:
        asked = stack.enter_context(listener.accept()[0])
        dev.process.send_signal(signal.SIGINT)
        assert dev.process.wait(5.0) == 0
        wait_end(asked)
        assert "does not load" not in dev.stderr()
        assert os.listdir(dev.data / "libraries") == []


def test_a_save_ends_the_wait_for_a_server(tmp_path: Path) -> None:
    action = tmp_path / "hello.py"
    os.mkfifo(tmp_path / "gate")
    action.write_text("def main(event): return {'first': open('gate').read()}\n")
    with DevProcess(action, "--debug", "--debug-port", "0") as dev:  # so it has one server
        dev.wait_live("hello 0.0.1")
        calling = threading.Thread(target=lambda: dev.result("hello"))
        calling.start()
        with open(tmp_path / "gate", "w") as gate:  # opens once the call has opened its end
            action.write_text(GOOD.replace("good", "second"))
            dev.wait(r"still loading hello \(2 s\): its servers are busy", SOON)
            action.write_text(GOOD.replace("good", "third"))
            dev.wait(r"still loading hello \(2 s\)", SOON)  # so this load has begun anew
            gate.write("let go")
        calling.join(SOON)
        dev.wait_live("hello 0.0.2")
        assert dev.result("hello") == {"by": "third"}
        assert "0.0.3 is live" not in dev.stderr()


def test_actions_of_one_package_that_load_together_make_it_once(tmp_path: Path) -> None:
    names = [f"pack/{name}" for name in "abcdefgh"]
    write(tmp_path / "packages", {f"{name}.py": GOOD for name in names})
    with DevProcess(tmp_path) as dev:
        dev.wait_all(*(f"{name} 0.0.1 is live" for name in names))
        assert dev.api("GET", "packages/pack").json["version"] == "0.0.1"
