"""Read the history of a running server, and wait until it is written."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.support.client import run_once
from tests.support.server import Server

from . import control


def listed(server: Server) -> list[control.Status]:
    """Return the versions of a server, the latest first."""
    versions = control.ask(server, "history")["versions"]
    assert isinstance(versions, list)
    return versions


def kept(server: Server) -> list[int]:
    """Return the numbers of the versions that are kept, the latest first."""
    return [each["number"] for each in listed(server) if each["kept"]]


def wait_written(server: Server, timeout: float = 10.0) -> None:
    """Wait until the content of the current version is in the state folder."""
    deadline = time.monotonic() + timeout
    while not (found := control.ask(server, "history"))["versions"][0]["bytes"]:
        assert time.monotonic() < deadline, f"not written within {timeout} s: {found}"


def is_written(state: Path, number: int) -> bool:
    """Return whether the state folder names a version as the one that is current."""
    versions = json.loads((state / "history.json").read_bytes())["versions"]
    return bool(versions[-1]["number"] == number)


def version(server: Server) -> int:
    """Return the version that answers."""
    response = run_once(server.address, {})
    assert response.status == 200, (response, server.stderr())
    return int(response.value("version"))
