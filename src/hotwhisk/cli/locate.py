"""
Find the server that a command means if no port is given.

This is the usual server, or else the only one that runs. Servers of this user are known by their
sockets in the run folder.
"""

from __future__ import annotations

import os
import socket
import stat
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from hotwhisk.config.addresses import client_setting, named_port
from hotwhisk.config.config import Config, default_run_dir
from hotwhisk.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def run_folder(given: str | None, environ: Mapping[str, str]) -> Path:
    """Return the folder in which servers of this user have their sockets."""
    default = client_setting("run_dir", environ) or default_run_dir(environ, os.getuid())
    return Path(given or default)


def only_server(folder: Path, port: int | None, environ: Mapping[str, str]) -> str | None:
    """
    Return the name of the only server, if no port was named and no server has the usual port.

    Raises:
        ServerError: this user has several servers.
    """
    if port is not None or named_port(environ) is not None:
        return None
    found = server_names(folder)
    if any(port_of(name) == Config.port for name in found):
        return None
    if len(found) > 1:
        raise ServerError(
            f"several servers run, {describe_servers(found)}; give --port and one of these"
        )
    return found[0] if found else None


def server_names(folder: Path) -> list[str]:
    """Return the names of the servers that listen in a folder."""
    try:
        found = [path for path in folder.glob("*.sock") if stat.S_ISSOCK(path.stat().st_mode)]
    except OSError:
        return []
    names = (path.name.removesuffix(".sock") for path in found if _listens(path))
    return sorted(names, key=lambda name: (port_of(name), name))


def port_of(name: str) -> int:
    """Return the port in the name of a server, or 0 if the name has none."""
    number = name.partition("@")[0]
    return int(number) if number.isdecimal() else 0


def url_of(name: str) -> str:
    """Return the address of a server by its name."""
    host = name.partition("@")[2] or "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{port_of(name)}"


def describe_servers(names: Sequence[str]) -> str:
    """Return servers as text for people: ``on port 9000, on port 9001 of 127.0.0.2``."""
    return ", ".join("on port " + " of ".join(name.split("@")) for name in names)


def _listens(path: Path) -> bool:
    """Return whether a server is behind that socket, as a killed server leaves its socket."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(path))
        except OSError:
            return False
    return True
