"""End idle servers and remove old activations, every few seconds."""

from __future__ import annotations

import logging
import threading
from typing import Final

from hotwhisk.gateway.log import log_event
from hotwhisk.gateway.runtimes.forked_server import ForkedServer
from hotwhisk.gateway.runtimes.pool import Pool
from hotwhisk.gateway.settings import Settings
from hotwhisk.gateway.store.store import Store
from hotwhisk.gateway.wall_clock import WallClock

_SECONDS: Final = 10.0


class Sweeper:
    """A thread that keeps the number of servers and of activations within the settings."""

    def __init__(self, settings: Settings, store: Store, pool: Pool[ForkedServer]) -> None:
        self._settings = settings
        self._store = store
        self._pool = pool
        self._clock = WallClock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End, after what is being done now."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _age(self) -> float | None:
        """Return the age of activations that are too old; None while it cannot be told."""
        jump = self._clock.jumped()
        if jump:
            text = f"the clock has jumped by {jump:.0f} s: for an hour, no activation is too old"
            log_event(text, level=logging.WARNING)
        return self._settings.activation_age if self._clock.is_trusted else None

    def _run(self) -> None:
        while not self._stopped.wait(_SECONDS):
            try:
                self._pool.end_idle(self._settings.idle_timeout)
                self._store.activations.prune(self._settings.most_activations, self._age())
            except Exception as error:  # noqa: BLE001 - boundary: it is tried again, as with a full disk
                what = "idle servers or old activations could not be removed"
                log_event(f"{what}: {type(error).__name__}: {error}", level=logging.ERROR)
