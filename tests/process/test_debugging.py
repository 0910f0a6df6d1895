"""Look into an action with a debugger, and read the explanation if that is not possible."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.client import Connection, init_once, run_once
from tests.support.rendezvous import Rendezvous
from tests.support.server import Server
from tests.support.wire import init_request

from . import control

pytestmark = pytest.mark.slow

HELLO = """\
import sys
from hotwhisk import start

def hello(event):
    return {"argv": sys.argv, "file": __file__}

if __name__ == "__main__":
    start(hello)
"""


@pytest.mark.parametrize(
    "program",
    ["pdb -c continue", "cProfile -s tottime", "profile", "trace --count --missing"],
)
def test_a_file_that_calls_start_is_served_under_another_program(
    program: str, tmp_path: Path
) -> None:
    file = tmp_path / "hello.py"
    file.write_text(HELLO)
    command = (sys.executable, "-m", *program.split(), str(file), "--workers", "2")
    with Server(command=command) as server:
        assert run_once(server.address, {}).value("file") == str(file)
        log = server.stderr()
    assert f"{program.split(maxsplit=1)[0]} runs hello.py, but not the server" in log
    assert "docs/debugging.md" in log


@pytest.mark.parametrize("call", ["breakpoint()", "import pdb; pdb.set_trace()"])
def test_a_breakpoint_in_a_handler_says_why_it_does_not_hold(server: Server, call: str) -> None:
    server.post(f"def main(event):\n    {call}\n    return {{}}\n")
    told = str(run_once(server.address, {}).error)
    assert "breakpoint() and pdb need a terminal" in told
    assert "docs/debugging.md" in told
    assert "its standard input is empty" in (server.folder / "stderr").read_text()
    (server.folder / "stderr").write_text("")  # with a traceback, which is the action's


def test_a_breakpoint_at_import_says_why_it_does_not_hold(server: Server) -> None:
    answer = init_once(server.address, "breakpoint()\ndef main(event): return {}\n")
    assert "breakpoint() and pdb need a terminal" in str(answer.error)
    (server.folder / "stderr").write_text("")


def test_the_log_says_that_a_worker_was_ended_at_the_deadline() -> None:
    with Server("--timeout", "0.5") as server:
        server.post("import time\ndef main(event): time.sleep(60)\n")
        assert run_once(server.address, {}).error
        control.status(server)
        assert "ended by the server, as a request took more than 0.5 s" in server.stderr()


def test_a_long_load_says_so_in_the_log() -> None:
    with Server() as server, Rendezvous() as meet, Connection(server.address) as posting:
        source = (
            "import socket\nend = socket.socket(socket.AF_UNIX)\n"
            f"end.connect({meet.path!r})\nend.sendall(b'%d' % __import__('os').getpid())\n"
            "end.recv(1)\ndef main(event): return {}\n"
        )
        posting.send(init_request(source))
        held = meet.wait_arrival()
        control.wait_until(
            server, lambda _: "still loading after 2 s" in server.stderr(), "told", 20.0
        )
        assert "it is given" in server.stderr()
        held.release()
        assert posting.read_response().status == 200


def test_a_port_that_the_current_version_holds_is_explained(server: Server) -> None:
    source = (
        "import socket\nlistener = socket.create_server(('127.0.0.1', PORT))\n"
        "def main(event): return {'port': listener.getsockname()[1]}\n"
    )
    server.post(source.replace("PORT", "0"))
    port = run_once(server.address, {}).value("port")
    answer = init_once(server.address, source.replace("PORT", str(port)))
    assert "Address already in use" in str(answer.error)
    assert "the old and the new version are alive at once" in str(answer.error)
    assert run_once(server.address, {}).value("port") == port
    (server.folder / "stderr").write_text("")
