"""
A server that finds things in its run folder.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from .server import Server


class Again(Server):
    """
    ``prepare`` is called before the start, with the run folder and the name of what is the
    server's own there.
    """

    def __init__(self, prepare: Callable[[Path, str], object], *arguments: str) -> None:
        super().__init__(*arguments)
        self._prepare = prepare

    def _start(self, listener: socket.socket) -> None:
        self._prepare(self.run_dir, str(self.port))
        super()._start(listener)
