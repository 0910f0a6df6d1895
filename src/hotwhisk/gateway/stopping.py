"""
Run the application, and stop it without losing an answer.

At the first SIGTERM or SIGINT the port is closed, and the activations that run are waited for.
After ``--drain-timeout``, or at a second signal, those that still run are ended with their servers:
their callers get an error, and their records are stored like all others. Then the last answers go
out.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Final

import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from hotwhisk.gateway.gateway import Gateway
from hotwhisk.gateway.log import NOTICE, log_event
from hotwhisk.mcp.idle_connections import REQUEST_SECONDS, IdleConnections

ANSWER_SECONDS: Final = 5
"""How long records and last answers are waited for after the activations have ended."""


class GatewayServer(uvicorn.Server):
    """
    A uvicorn server that stops as a gateway must.

    It obeys signals from its construction on. ``stopping`` is called when a stop begins.
    """

    def __init__(self, app: ASGIApp, gateway: Gateway, stopping: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=ANSWER_SECONDS,
                ws="none",
            )
        )
        self._idle = IdleConnections(self.server_state.connections)
        self._gateway = gateway
        self._stopping = stopping
        self._loop: asyncio.AbstractEventLoop | None = None
        self._hurry = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.handle_exit)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # uvicorn's
        """Begin to stop at the first signal, and wait no longer at the second."""
        if self._loop is not None and self.should_exit:
            self._loop.call_soon_threadsafe(self._hurry.set)
        self.should_exit = True
        self._gateway.stopping.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Close idle connections now and then; uvicorn calls this ten times a second."""
        if counter % (REQUEST_SECONDS * 10) == 0:
            self._idle.close()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no further connection, let activations end, send the last answers."""
        self._stopping()
        count = self._gateway.invocations.count
        text = f"stopping; calls to finish first: {count} (a second Ctrl-C stops at once)"
        log_event(text, level=NOTICE)
        self._gateway.changes.close()  # ends the streams of pages
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await self._drain()
        await super().shutdown(sockets)

    async def _drain(self) -> None:
        gateway = self._gateway
        idle = asyncio.ensure_future(run_in_threadpool(gateway.invocations.wait_idle))
        hurried = asyncio.ensure_future(self._hurry.wait())
        await asyncio.wait(
            (idle, hurried),
            timeout=gateway.settings.drain_timeout,
            return_when=asyncio.FIRST_COMPLETED,
        )
        hurried.cancel()
        if gateway.invocations.count:
            log_event("activations that still run are ended", level=NOTICE)
        await run_in_threadpool(gateway.end_servers)
        await asyncio.wait((idle,), timeout=ANSWER_SECONDS)
