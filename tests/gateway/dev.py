"""A ``hotwhisk dev`` as a real process, in a project that a test edits."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.support.gateway import GatewayProcess

DEADLINE = 25.0


class DevProcess(GatewayProcess):
    """A running ``hotwhisk dev PATH``; what it prints is waited for from the last match on."""

    def __init__(self, path: Path, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        command = (sys.executable, "-m", "hotwhisk", "dev", str(path))
        super().__init__("--no-open", *arguments, command=command, env=env)
        self._seen = 0

    def wait(self, pattern: str, timeout: float = DEADLINE) -> str:
        """Wait for a line that matches after the last one that did; return its first group."""
        deadline = time.monotonic() + timeout
        while not (found := re.compile(pattern).search(self.stderr(), self._seen)):
            assert time.monotonic() < deadline, f"no {pattern!r} in: {self.stderr()}"
            self.read_more(deadline - time.monotonic())
        self._seen = found.end()
        return found[1] if found.groups() else found[0]

    def wait_all(self, *patterns: str) -> None:
        """Wait for a line for each pattern, in whatever order they come."""
        begin, last = self._seen, self._seen
        for pattern in patterns:
            self._seen = begin
            self.wait(pattern)
            last = max(last, self._seen)
        self._seen = last

    def wait_live(self, version: str) -> str:
        """Wait until a version is live; return the rest of the line."""
        return self.wait(rf"{re.escape(version)} is live after (.*)\n")

    def result(self, name: str, /, **event: object) -> Any:
        """Call an action and return its result."""
        return self.invoke(name, event)["response"]["result"]

    def page(self, path: str) -> str:
        """Log in on the page, and return what a path of it shows."""
        form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "null"}
        body = urlencode({"key": self.auth}).encode()
        cookie = self.request("POST", "/login", body, headers=form).headers["set-cookie"]
        shown = {"Cookie": cookie.partition(";")[0], "Accept": "text/html"}
        return self.request("GET", path, headers=shown, auth="").content.decode()


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder
