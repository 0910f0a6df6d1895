"""The parts of a gateway, put together once."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from hotwhisk.gateway.changes import Changes
from hotwhisk.gateway.invocations.invocations import Invocations
from hotwhisk.gateway.problems import Problems
from hotwhisk.gateway.runtimes.pool import Pool
from hotwhisk.gateway.settings import DEFAULT_NAMESPACE, Settings
from hotwhisk.gateway.store.store import Store
from hotwhisk.platform.action_server import ActionServer, Launch

_SWEEP_SECONDS = 10.0
_KEPT = ("HOME", "LANG", "LC_ALL", "PATH", "SSL_CERT_FILE", "TMPDIR", "TZ")
"""The variables of the gateway that actions see; others may hold secrets."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """What every route uses."""

    settings: Settings
    store: Store
    pool: Pool
    invocations: Invocations
    changes: Changes
    problems: Problems
    _stopped: threading.Event

    def start(self) -> None:
        """Begin to end idle servers and to remove old activations."""
        threading.Thread(target=self._sweep, name="sweep", daemon=True).start()

    def close(self) -> None:
        """End all servers, and close the database."""
        self._stopped.set()
        self.invocations.close()
        self.pool.close()
        self.store.close()

    def _sweep(self) -> None:
        while not self._stopped.wait(_SWEEP_SECONDS):
            self.pool.end_idle(self.settings.idle)
            self.store.activations.prune(
                self.settings.most_activations, self.settings.activation_age
            )


def open_gateway(settings: Settings, environ: Mapping[str, str]) -> Gateway:
    """
    Open the database, and prepare to start servers.

    Raises:
        StartError: the database cannot be used.
    """
    os.makedirs(settings.data, mode=0o700, exist_ok=True)
    changes = Changes()
    store = Store(settings.database, changes.publish)
    store.namespaces.ensure(DEFAULT_NAMESPACE)
    launch = _launch(settings, environ)
    pool = Pool(
        lambda: ActionServer(launch),
        most=settings.most_runtimes,
        most_per_action=settings.most_runtimes_per_action,
    )
    return Gateway(
        settings,
        store,
        pool,
        Invocations(store, pool),
        changes,
        Problems(changes),
        threading.Event(),
    )


def _launch(settings: Settings, environ: Mapping[str, str]) -> Launch:
    folder = os.path.join(settings.run_dir, "empty")
    for each in (settings.run_dir, folder):
        os.makedirs(each, mode=0o700, exist_ok=True)
    token = secrets.token_urlsafe(32)
    token_file = os.path.join(settings.run_dir, "token")
    with open(os.open(token_file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        file.write(token)
    variables = {name: environ[name] for name in _KEPT if name in environ}
    variables |= {"PROXY_ALLOW_REINIT": "1", "__OW_API_HOST": settings.url}
    return Launch(token, token_file, folder, settings.run_dir, variables)
