"""Start the servers that are measured, with the actions they run."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.client import init_once
from tests.support.server import HOTWHISK, Server

REFERENCE = (sys.executable, str(Path(__file__).with_name("reference.py")))
ECHO = "def main(event):\n    return event\n"
BURN = """\
import time

def main(event):
    end = time.thread_time() + 0.005
    while time.thread_time() < end:
        pass
    return event
"""
DYING = """\
import os

def main(event):
    if event.get("die"):
        os.kill(os.getpid(), 9)
    return event
"""
PANDAS = "import pandas\n" + DYING


# The server's output goes through a pipe to a reader each, and from there to the files of the
# `Server`. The redirections are those of the process that becomes the server.
PIPED = ("bash", "-c", 'exec "$@" > >(exec cat) 2> >(exec cat >&2)', "bash")


@contextmanager
def reference() -> Iterator[Server]:
    """Start the bare server."""
    with Server(command=REFERENCE) as server:
        yield server


@contextmanager
def hotwhisk(
    code: str | bytes = ECHO, *arguments: str, plain_json: bool = False, piped: bool = False
) -> Iterator[Server]:
    """
    Start ``hotwhisk serve`` with this source or archive current.

    With ``plain_json`` it does not use orjson; with ``piped`` its output is read from pipes.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = (*PIPED, *HOTWHISK) if piped else HOTWHISK
        if piped:
            arguments = (*arguments, "--run-dir", folder)
        if plain_json:
            arguments = (*arguments, "--no-faster-json")
        with Server(*arguments, command=command, ready_timeout=30.0) as server:
            response = init_once(server.address, code, timeout=60.0)
            if response.status != 200:
                raise RuntimeError(f"/init: {response.status} {response.body!r}")
            yield server
