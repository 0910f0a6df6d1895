"""The parts of a gateway, put together once."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from hotwhisk.errors import StartError
from hotwhisk.gateway.changes import Changes
from hotwhisk.gateway.data_folder import open_data
from hotwhisk.gateway.invocations.invocations import Invocations
from hotwhisk.gateway.metrics import Metrics
from hotwhisk.gateway.problems import Problems
from hotwhisk.gateway.runtimes.forked_server import ForkedServer
from hotwhisk.gateway.runtimes.import_measurement import ImportMeasurement
from hotwhisk.gateway.runtimes.launcher import Launcher
from hotwhisk.gateway.runtimes.memory_limits import MemoryLimits
from hotwhisk.gateway.runtimes.pool import Pool
from hotwhisk.gateway.settings import DEFAULT_NAMESPACE, Settings
from hotwhisk.gateway.store.store import Store
from hotwhisk.gateway.sweeper import Sweeper
from hotwhisk.server.run_folder import LONGEST_SOCKET
from hotwhisk.system.removal import remove

KEPT = ("HOME", "LANG", "LC_ALL", "PATH", "SSL_CERT_FILE", "TMPDIR", "TZ")
"""The variables of the gateway that actions see; others may hold secrets."""

_LONGEST_RUN_DIR = LONGEST_SOCKET - len("/folder_name/65535.sock")
"""Most bytes of the path of `Settings.run_dir`: below it each server has a folder with a socket."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """What every route uses."""

    settings: Settings
    store: Store
    launcher: Launcher
    memory: MemoryLimits
    imports: ImportMeasurement
    pool: Pool[ForkedServer]
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
        """End all servers, keep the records of the calls that end with them, close the database."""
        self.stopping.set()
        self._sweeper.close()
        self.end_servers()
        self.invocations.close()
        self.store.close()

    def end_servers(self) -> None:
        """Take no further call, and end all servers: the calls that run fail."""
        self.invocations.refuse()
        self.launcher.close()  # so that no call starts another server
        self.pool.close()


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
    memory = MemoryLimits()  # before the launcher, which must be in the same control group
    launcher = _launcher(settings, environ)
    pool = Pool(
        lambda: ForkedServer(launcher, memory),
        most=settings.most_servers,
        most_per_action=settings.most_servers_per_action,
    )
    invocations = Invocations(store, pool)
    invocations.finish_accepted()
    return Gateway(
        settings,
        store,
        launcher,
        memory,
        ImportMeasurement(launcher, memory),
        pool,
        invocations,
        changes,
        Problems(changes),
        metrics,
        threading.Event(),
        Sweeper(settings, store, pool),
    )


def _launcher(settings: Settings, environ: Mapping[str, str]) -> Launcher:
    if len(os.fsencode(settings.run_dir)) > _LONGEST_RUN_DIR:
        raise StartError(
            f"{settings.data} is too long for the paths of sockets below it; give --data FOLDER "
            "with a shorter one"
        )
    remove(settings.run_dir)  # of a gateway that was killed
    variables = {name: environ[name] for name in KEPT if name in environ}
    variables |= {"PROXY_ALLOW_REINIT": "1", "__OW_API_HOST": settings.url}
    return Launcher(settings.run_dir, variables)
