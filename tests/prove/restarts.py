"""
Kill a server with a state folder at any moment: the next start has the old version or the new one.

`tests.process.test_history_steps` kills it at each file operation. Here the moments are random:
also while a version loads, becomes current, or is restored.
"""

from __future__ import annotations

import json
import os
import re
import signal
from contextlib import suppress
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Timer

from hotwhisk.artifact import version_file
from hotwhisk.server.state_folder import content_path, read_versions
from tests.support.server import NotReplaced, Server
from tests.support.wire import ClientError

from .outcome import Outcome, ask

LATEST = 0.08
"""Seconds after the answer to its first replacement within which a server is killed."""

MOST = 8
"""Most replacements in the life of one server."""


def come_back(lives: int = 10, seed: int = 1) -> Outcome:
    """
    Kill a server ``lives`` times while its version is replaced, and start it again.

    The next server must have the latest version that the folder had, or a later one that was
    posted.
    """
    outcome = Outcome(f"{lives} servers killed at random moments (seed {seed})")
    random, posted, before, newer = Random(seed), 1, 1, 0
    with TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        with Server("--state", str(state)) as server:
            server.replace(1)
            server.terminate()
            outcome.expect(server.wait(10.0) == 0, "the first server did not stop")
        for life in range(lives):
            least = latest(state)
            with Server("--state", str(state)) as server:
                found = int(ask(server).value("version"))
                outcome.expect(least <= found <= posted, f"{life}: {least} to {posted}: {found}")
                newer, before = newer + (found > before), found
                posted += 1
                server.replace(posted)
                posted = replace_until_killed(server, posted, random.uniform(0.0, LATEST))
        with Server("--state", str(state)) as server:
            outcome.expect("damaged" not in server.stderr(), server.stderr()[-600:])
            outcome.expect(latest(state) <= int(ask(server).value("version")) <= posted, "the last")
    outcome.result = f"{posted} versions posted; {newer} starts had a newer one than before"
    return outcome


def replace_until_killed(server: Server, posted: int, after: float) -> int:
    """Post versions after ``posted`` until the server is killed; return the last one."""
    timer = Timer(after, os.kill, (server.pid, signal.SIGKILL))
    timer.start()
    with suppress(ClientError, NotReplaced, OSError):
        for _ in range(MOST):
            posted += 1
            server.replace(posted)
    timer.join()
    server.wait(10.0)
    return posted


def latest(state: Path) -> int:
    """Return which version the folder has as the last one, by its source."""
    last = read_versions(str(state))[-1]
    body = version_file.read(content_path(str(state), last.content.number))
    found = re.search(r'"version": (\d+)', json.loads(body)["value"]["code"])
    assert found is not None
    return int(found[1])
