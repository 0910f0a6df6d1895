"""The command curl, and the response that it prints."""

from __future__ import annotations

import json
import subprocess
from typing import Any, NamedTuple


class Page(NamedTuple):
    """A response; the names of its headers are in lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the values of a header, or None."""
        found = [value for key, value in self.headers if key == name]
        return ", ".join(found) if found else None

    @property
    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


def curl(url: str, *words: str) -> Page:
    """Send a request with curl; the words are its options."""
    # Without "Expect" there is no response of status 100 before the real one.
    command = ["curl", "-sS", "-i", "--max-time", "60", "-H", "Expect:", *words, url]
    done = subprocess.run(command, capture_output=True, check=True)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = [(line.partition(":")[0].lower(), line.partition(":")[2].strip()) for line in lines]
    return Page(int(first.split()[1]), headers, body)
