"""
The official client of the Model Context Protocol, as an agent has it: in a process of its own.

Each line of standard input is a command in JSON, each line of standard output its answer. A client
connects once, and keeps that session to the end of the process.
"""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from contextlib import AsyncExitStack
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

TIMEOUT = 60.0


class Callers:
    """Tasks that call a tool one time after the other, until they are told to end."""

    def __init__(self, client: Client, tool: str, count: int) -> None:
        self.calls = 0
        self.failed: list[str] = []
        self.stale = 0
        """Answers of a version before that of an answer that the same task has had."""
        self._client = client
        self._tool = tool
        self._ending = False
        self._tasks = [asyncio.create_task(self._call_on(number)) for number in range(count)]

    async def _call_on(self, number: int) -> None:
        last = 0
        while not self._ending:
            found = await self._client.call_tool(self._tool, {"token": number})
            answer = found.structured_content
            self.calls += 1
            if found.is_error or not isinstance(answer, dict) or answer.get("token") != number:
                self.failed.append(str(found)[:500])
                continue
            self.stale += answer["version"] < last
            last = answer["version"]

    async def end(self) -> dict[str, Any]:
        """Let the tasks end with their present calls; return what they have counted."""
        self._ending = True
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(outcome, BaseException):
                self.failed.append("".join(traceback.format_exception(outcome))[-2000:])
        return {"calls": self.calls, "failed": self.failed, "stale": self.stale}


class Clients:
    """The clients, by the order in which they connected, and the commands to them."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._clients: list[Client] = []
        self._callers: Callers

    async def connect(self, url: str, headers: dict[str, str], mode: Any) -> dict[str, Any]:
        """Connect one more client, and return its number and what the server says of itself."""
        http = await self._stack.enter_async_context(
            httpx2.AsyncClient(headers=headers, timeout=TIMEOUT)
        )
        transport = streamable_http_client(url, http_client=http)
        client = await self._stack.enter_async_context(Client(transport, mode=mode))
        self._clients.append(client)
        return {
            "number": len(self._clients) - 1,
            "revision": client.protocol_version,
            "instructions": client.instructions,
        }

    async def list(self, number: int) -> list[dict[str, Any]]:
        """Return the tools."""
        found = await self._clients[number].list_tools()
        return [each.model_dump(mode="json", by_alias=True) for each in found.tools]

    async def call(self, number: int, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call a tool."""
        found = await self._clients[number].call_tool(tool, arguments)
        return found.model_dump(mode="json", by_alias=True)

    async def begin(self, number: int, tool: str, count: int) -> None:
        """Begin to call a tool from several tasks."""
        self._callers = Callers(self._clients[number], tool, count)

    async def end(self, number: int) -> dict[str, Any]:
        """End these calls, and return what was counted."""
        return await self._callers.end()


async def main() -> None:
    """Obey the commands on standard input until it ends."""
    async with AsyncExitStack() as stack:
        clients = Clients(stack)
        while line := await asyncio.to_thread(sys.stdin.readline):
            name, given = json.loads(line)
            try:
                answer = {"result": await getattr(clients, name)(**given)}
            except MCPError as error:
                answer = {"code": error.error.code, "error": error.error.message}
            except Exception:  # noqa: BLE001 - told to the test
                answer = {"code": 0, "error": traceback.format_exc()}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
