"""What the things of one server are called in a run folder that it may share with others."""

from __future__ import annotations

USUAL = ("127.0.0.1", "localhost", "0.0.0.0", "::", "")
"""Addresses of which one server at a time can have a port."""


def server_name(host: str, port: int) -> str:
    """The name of a server's folder and socket: its port, and its address unless that is a usual one."""
    return str(port) if host in USUAL else f"{port}@{host.lower()}"


def control_path(run_dir: str, place: str) -> str:
    """The socket on which the server of a place answers ``status`` and ``rollback``."""
    return f"{run_dir}/{place}.sock"
