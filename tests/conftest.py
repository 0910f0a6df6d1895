"""Share with all tests: an environment without the user's configuration, and patient hypothesis."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

settings.register_profile("calm", deadline=None, max_examples=100)  # a busy machine is not a bug
settings.load_profile("calm")

FOREIGN = ("PORT", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "WATCHDOG_USEC")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("HOTWHISK_") or name in FOREIGN:
            monkeypatch.delenv(name)
