"""A server that finds files or folders in its run folder when it starts."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from .server import Server


class Again(Server):
    """
    A server that calls ``prepare`` before its start.

    ``prepare`` gets the run folder and the name that the server's own folder will have there.
    """

    def __init__(self, prepare: Callable[[Path, str], object], *arguments: str) -> None:
        super().__init__(*arguments)
        self._prepare = prepare

    def _start(self, listener: socket.socket) -> None:
        self._prepare(self.run_dir, str(self.port))
        super()._start(listener)
