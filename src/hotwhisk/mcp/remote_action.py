"""The action of one server of ``hotwhisk serve`` as a tool, the only one."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from hotwhisk.artifact.manifest import action_name
from hotwhisk.config.addresses import base_url
from hotwhisk.config.config import Config
from hotwhisk.errors import Forbidden, Unauthorized
from hotwhisk.mcp.current_version import CurrentVersion, DescribedVersion
from hotwhisk.mcp.tools import Tool, ToolResult, UnknownTool, note, tool_name

MOST_CALLS: Final = 256
"""Calls at a time; one more waits."""
MOST_WAIT: Final = 60.0
"""Seconds that a call may take besides its run: it may wait for runs of others."""
NO_LIMIT: Final = 1e6
"""Seconds from which on a limit is none, because a socket takes no more than 24 days."""
DEFAULT_NAME: Final = "action"
"""The name of the tool if the server was given no FILE."""


class RemoteAction:
    """Describes the action, and calls it. ``control`` is the path of the control socket."""

    def __init__(self, config: Config, control: str) -> None:
        self.name = _name(config)
        self._server = urlsplit(base_url(config))
        self._limit = config.timeout + MOST_WAIT
        """Seconds after which the server counts as hanging. It ends each run itself before that."""
        self._version = CurrentVersion(control)
        self._calls = ThreadPoolExecutor(MOST_CALLS, "call")
        self._descriptions = ThreadPoolExecutor(1, "describe")  # waits for no call

    async def describe(self) -> Tool:
        """Return the tool as the current version has it."""
        loop = asyncio.get_running_loop()
        version = await loop.run_in_executor(self._descriptions, self._version.read)
        return Tool(self.name, version.description.text, version.description.schema)

    async def call(self, arguments: dict[str, Any], authorization: str | None) -> ToolResult:
        """Send a ``/run``, with an Authorization header if there is one; return its result."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._calls, self._call, arguments, authorization)

    def _call(self, arguments: dict[str, Any], authorization: str | None) -> ToolResult:
        headers = {"Content-Type": "application/json"}
        if authorization is not None:
            headers["Authorization"] = authorization
        body = json.dumps({"value": arguments}).encode()
        try:
            status, content = self._post(body, headers)
        except TimeoutError:
            text = f"the server gave no answer within {self._limit:g} s; the action may have run"
            return ToolResult(text, error=True)
        except (OSError, http.client.HTTPException) as error:
            return ToolResult(f"the server gave no answer: {error}", error=True)
        if status in (Unauthorized.status, Forbidden.status):
            return _result(status, content, ())  # a traceback is not for this caller
        return _result(status, content, _notes(self._version.read()))

    def _post(self, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """
        Return the status and the body of the answer.

        Raises:
            TimeoutError: the server sent nothing for so long that it must hang.
            OSError, HTTPException: the connection failed.
        """
        host, port = self._server.hostname, self._server.port
        limit = self._limit if self._limit < NO_LIMIT else None
        with closing(http.client.HTTPConnection(host or "", port, limit)) as connection:
            connection.request("POST", "/run", body, headers)
            response = connection.getresponse()
            return response.status, response.read()


class OneTool:
    """The tools for one request: the action that is served."""

    def __init__(self, action: RemoteAction, authorization: str | None) -> None:
        self._action = action
        self._authorization = authorization

    async def list(self) -> Sequence[Tool]:
        """Return the tool."""
        return [await self._action.describe()]

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolResult:
        """Call the action, with the token that the request bears."""
        if name != self._action.name:
            raise UnknownTool
        return await self._action.call(arguments, self._authorization)


def _name(config: Config) -> str:
    if config.file is not None:
        return tool_name(action_name(Path(config.file)))
    return tool_name(config.module or DEFAULT_NAME)


def _notes(version: DescribedVersion) -> tuple[str, ...]:
    """Return why the last version is not the one that answers."""
    if not version.refusal:
        return ()
    answers = f"generation {version.generation} answers" if version.generation else "none answers"
    return (note(f"The last version was refused; {answers}:", version.refusal),)


def _result(status: int, content: bytes, notes: tuple[str, ...]) -> ToolResult:
    """Return the result of a ``/run``. As on the platform, one with a key ``error`` is an error."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return ToolResult(content.decode("utf-8", "replace"), error=status != 200, notes=notes)
    failed = status != 200 or (isinstance(value, dict) and "error" in value)
    if failed and isinstance(value, dict) and value.keys() == {"error"}:
        value = value["error"]
    return ToolResult(value, error=failed, notes=notes)
