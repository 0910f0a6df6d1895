"""The sweeper goes on after an error."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hotwhisk.gateway import sweeper
from hotwhisk.gateway.runtimes.forked_server import ForkedServer
from hotwhisk.gateway.runtimes.pool import Pool
from hotwhisk.gateway.settings import Settings
from hotwhisk.gateway.store.store import Store

DEADLINE = 10.0


class Failing(Pool[ForkedServer]):
    """A pool that cannot end its idle servers the first time."""

    def __init__(self) -> None:
        self.asked = 0
        self.asked_again = threading.Event()

    def end_idle(self, seconds: float) -> None:
        self.asked += 1
        if self.asked == 1:
            raise OSError("too many open files")
        self.asked_again.set()


def test_the_sweeper_tries_again_after_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "_SECONDS", 0.01)
    store = Store(str(tmp_path / "hotwhisk.db"))
    servers = Failing()
    swept = sweeper.Sweeper(Settings(str(tmp_path)), store, servers)
    swept.start()
    assert servers.asked_again.wait(DEADLINE)
    swept.close()
    store.close()
