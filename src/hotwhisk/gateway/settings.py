"""What ``hotwhisk up`` was told, as one frozen value."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hotwhisk.gateway.log import LogFormat

DEFAULT_PORT: Final = 3233  # that of OpenWhisk's standalone server
DEFAULT_NAMESPACE: Final = "guest"


@dataclass(frozen=True, slots=True)
class Settings:
    """
    The settings of a gateway.

    Times are in seconds. ``data`` is the folder of the database, which only its owner can read.
    """

    data: str
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    ports_tried: int = 1
    """How many ports are tried, from the given one on, until one is free."""
    names: tuple[str, ...] = ()
    """Host names by which clients reach the gateway, beside its addresses and this machine's."""
    idle_timeout: float = 600.0
    """How long a server is kept after its last call."""
    drain_timeout: float = 25.0
    """How long a stop waits for the activations that are running."""
    most_servers: int = 64
    """Servers of all actions together; for one more, an idle one ends."""
    most_servers_per_action: int = 8
    most_activations: int = 100_000
    """Activations that are kept; the oldest are removed."""
    activation_age: float = 7 * 86_400.0
    log_format: LogFormat = LogFormat.TEXT
    log_level: int = logging.INFO
    """The least level of what is logged, as `logging` numbers it."""
    log_requests: bool = False
    wskprops: bool = False
    """Whether address and key go into the file that ``wsk`` reads."""
    open: bool = False
    """Whether the page is opened in the browser."""
    is_default_data: bool = False
    """Whether commands find the folder of data without ``--data``."""

    @property
    def url(self) -> str:
        """The address under which this machine reaches the gateway."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def data_flag(self) -> str:
        """What names the folder of data after ``hotwhisk up``: a flag, or nothing."""
        return "" if self.is_default_data else f" --data {shlex.quote(self.data)}"

    @property
    def key_command(self) -> str:
        """The command that prints the key of the default namespace."""
        return f"hotwhisk up key{self.data_flag}"

    @property
    def database(self) -> str:
        """The path of the database."""
        return os.path.join(self.data, "hotwhisk.db")

    @property
    def run_dir(self) -> str:
        """The folder of what lasts as long as the gateway."""
        return os.path.join(self.data, "run")


def default_data(environ: Mapping[str, str]) -> str:
    """Return the folder for data, by the XDG Base Directory Specification."""
    home = environ.get("XDG_DATA_HOME") or os.path.join(
        environ.get("HOME") or os.path.expanduser("~"), ".local", "share"
    )
    return os.path.join(home, "hotwhisk")
