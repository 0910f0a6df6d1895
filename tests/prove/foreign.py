"""Use a server that is already running, of any make, by its URL."""

from __future__ import annotations

import shlex
import subprocess
from urllib.parse import urlsplit

from tests.support.actions import version_source
from tests.support.client import Address, init_once
from tests.support.server import NotReplaced


class Foreign:
    """
    A running server of any make.

    ``replace_command`` switches it to version "{n}"; without one, /init is posted. Its answer to
    POST {"value": {"token": t}} must be JSON with the key "version"; if it has the key "token",
    that must be t.
    """

    def __init__(self, url: str, replace_command: str = "") -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f'--url: expected http://host:port/path, got "{url}"')
        self.address: Address = (parts.hostname, parts.port or 80)
        self.run_path = parts.path if parts.path not in ("", "/") else "/run"
        self.replace_command = replace_command

    def replace(self, number: int) -> None:
        """Switch to version ``number``."""
        if not self.replace_command:
            response = init_once(self.address, version_source(number))
            if response.status != 200:
                raise NotReplaced(f"/init: {response.status} {response.body[:120]!r}")
            return
        words = shlex.split(self.replace_command.replace("{n}", str(number)))
        finished = subprocess.run(words, stdout=subprocess.DEVNULL, timeout=60, check=False)
        if finished.returncode:
            raise NotReplaced(f"{words[0]}: exit status {finished.returncode}")
