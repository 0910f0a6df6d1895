"""The parts of a gateway, put together once."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from hotwhisk.gateway.changes import Changes
from hotwhisk.gateway.data_folder import open_data
from hotwhisk.gateway.invocations.invocations import Invocations
from hotwhisk.gateway.metrics import Metrics
from hotwhisk.gateway.problems import Problems
from hotwhisk.gateway.runtimes.pool import Pool
from hotwhisk.gateway.settings import DEFAULT_NAMESPACE, Settings
from hotwhisk.gateway.store.store import Store
from hotwhisk.gateway.sweeper import Sweeper
from hotwhisk.platform.action_server import ActionServer, Launch

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
    metrics: Metrics
    stopping: threading.Event
    """Set once a stop has begun: what would go on for ever, such as a stream, must end then."""
    _sweeper: Sweeper

    def start(self) -> None:
        """Begin to end idle servers and to remove old activations."""
        self._sweeper.start()

    def close(self) -> None:
        """End all servers, and close the database."""
        self.stopping.set()
        self._sweeper.close()
        self.invocations.close()
        self.pool.close()
        self.store.close()


def open_gateway(settings: Settings, environ: Mapping[str, str]) -> Gateway:
    """
    Open the database, and prepare to start servers.

    Raises:
        StartError: the folder of data or the database cannot be used.
    """
    open_data(settings.data)
    changes = Changes()
    store = Store(settings.database, changes.publish)
    store.namespaces.ensure(DEFAULT_NAMESPACE)
    metrics = Metrics()
    store.activations.watch(metrics.count)
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
        metrics,
        threading.Event(),
        Sweeper(settings, store, pool),
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
