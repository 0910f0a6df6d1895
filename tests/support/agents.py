"""Agents: the official client of the Model Context Protocol, as a process that a test directs."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any, Self

from tests.support.server import ROOT

ANSWER_SECONDS = 60.0


class AgentError(Exception):
    """The client raised an error; ``code`` is that of the protocol, or 0."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Agents:
    """The process of the clients; a context manager that ends it."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.mcp_client"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def connect(
        self, url: str, headers: Mapping[str, str] | None = None, mode: str = "auto"
    ) -> Agent:
        """
        Return a client that is connected to an endpoint.

        ``mode`` is "auto", or "legacy" for the handshake of earlier revisions.
        """
        found = self.ask("connect", url=url, headers=dict(headers or {}), mode=mode)
        return Agent(self, found)

    def ask(self, name: str, **given: object) -> Any:
        """Send a command, and return the result of its answer."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([name, given]).encode() + b"\n")
        process.stdin.flush()
        answer = json.loads(self._line())
        if "error" in answer:
            raise AgentError(answer["code"], answer["error"])
        return answer["result"]

    def _line(self) -> bytes:
        process, deadline = self._process, time.monotonic() + ANSWER_SECONDS
        assert process.stdout is not None
        assert process.stderr is not None
        ready = select.select([process.stdout], [], [], deadline - time.monotonic())[0]
        assert ready, f"the client is silent for {ANSWER_SECONDS:g} s"
        line = process.stdout.readline()
        assert line, process.stderr.read().decode(errors="replace")
        return line


class Agent:
    """A client that is connected; ``server`` is what the server said of itself."""

    def __init__(self, process: Agents, server: dict[str, Any]) -> None:
        self.server = server
        self._process = process

    def tools(self) -> list[dict[str, Any]]:
        """Return the tools that the server lists."""
        found: list[dict[str, Any]] = self._ask("list")
        return found

    def call(self, tool: str, **arguments: object) -> dict[str, Any]:
        """Call a tool, and return its result as the client has it."""
        found: dict[str, Any] = self._ask("call", tool=tool, arguments=arguments)
        return found

    def begin(self, tool: str, count: int) -> None:
        """Begin to call a tool from several tasks at once."""
        self._ask("begin", tool=tool, count=count)

    def end(self) -> dict[str, Any]:
        """End these calls; return ``calls``, the texts of the ``failed`` ones, and ``stale``."""
        found: dict[str, Any] = self._ask("end")
        return found

    def _ask(self, name: str, **given: object) -> Any:
        return self._process.ask(name, number=self.server["number"], **given)


def texts(result: Mapping[str, Any]) -> list[str]:
    """Return the texts of a result."""
    return [each["text"] for each in result["content"]]
