"""
Take the picture of two trials in a terminal: ``python -m tests.process.trial_picture FILE``.

The first one finds what a change has broken, the second one tries the correction. The server, the
requests and the terminal are real; of the progress, which is written over itself, the last line is
shown.
"""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import tempfile
from itertools import cycle
from pathlib import Path
from threading import Event, Thread

from tests.support.client import Connection
from tests.support.server import Server
from tests.support.terminal_picture import Shown, draw

TITLE = (
    "hotwhisk replace --trial: the first version is refused with examples, the second one passes"
)
COMMAND = "hotwhisk replace greet.py --trial 60"
GREET = 'def main(event):\n    return {"greetings": "Hello, " + event["name"]%s}\n'
OLD, WRONG, RIGHT = GREET % "", GREET % ".title()", GREET % ".strip()"
NAMES = (
    "Ada", "Mike", "Grace", "Linus", "Barbara", "Edsger", "Alan", "Donald", "Radia", "Ken",
    "Dennis", "Frances", "Tim", "Leslie", "John", "McKay", "Niklaus", "van Gogh", "Adele", "d'Arcy",
)  # fmt: skip
PACE = 0.03
"""Seconds between two requests of the only client."""

CLEARED = "\r\x1b[K"


def take() -> list[Shown]:
    """Return the lines of a terminal in which both versions were posted."""
    lines: list[Shown] = []
    stop = Event()
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        server.post(OLD)
        client = Thread(target=_call, args=(server, stop))
        client.start()
        try:
            for source in (WRONG, RIGHT):
                (Path(folder) / "greet.py").write_text(source)
                lines.append(Shown("typed", f"$ {COMMAND}"))
                lines += _shown(_run(server, folder))
        finally:
            stop.set()
            client.join()
    return lines


def _call(server: Server, stop: Event) -> None:
    """Call with one name after another, until it is to stop."""
    with Connection(server.address) as connection:
        for name in cycle(NAMES):
            if stop.wait(PACE):
                return
            connection.run({"name": name})


def _run(server: Server, folder: str) -> str:
    """Return what the command writes into a terminal."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "HOTWHISK_URL": server.url, "HOTWHISK_RUN_DIR": str(server.run_dir)}
    words = [sys.executable, "-m", *COMMAND.split()]
    with subprocess.Popen(words, stdout=theirs, stderr=theirs, env=environ, cwd=folder):
        os.close(theirs)
        written = b""
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:  # its last process has ended
                break
            written += data
    os.close(ours)
    return written.decode().replace("\r\n", "\n")


def _shown(written: str) -> list[Shown]:
    """Return the lines that stay, and before them the last one that was written over."""
    *progress, rest = written.split(CLEARED)
    kept = [Shown("progress", each) for each in progress[-1:] if each]
    return kept + [Shown("text", each) for each in rest.splitlines()]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(draw(take(), TITLE))
