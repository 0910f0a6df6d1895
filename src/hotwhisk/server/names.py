"""Name the folder and the socket of a server in a run folder that several servers may share."""

from __future__ import annotations

USUAL = ("127.0.0.1", "localhost", "0.0.0.0", "::", "")
"""Addresses that conflict on one port, so that the port alone names the server."""


def server_name(host: str, port: int) -> str:
    """
    Return the name of a server's folder and socket.

    The name is the port. For an address that is not in `USUAL`, the address is added.
    """
    return str(port) if host in USUAL else f"{port}@{host.lower()}"


def control_path(run_dir: str, place: str) -> str:
    """Return the path of the socket on which a server answers ``status`` and ``rollback``."""
    return f"{run_dir}/{place}.sock"
