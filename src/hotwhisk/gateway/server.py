"""Serve the API and the page until a signal comes."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware

from hotwhisk.errors import StartError
from hotwhisk.gateway.api.errors import ApiError, error_response
from hotwhisk.gateway.api.routes import routes
from hotwhisk.gateway.gateway import Gateway, open_gateway
from hotwhisk.gateway.hosts import OwnHosts
from hotwhisk.gateway.page import routes as page
from hotwhisk.gateway.settings import Settings


def serve(settings: Settings, environ: Mapping[str, str], ready: Callable[[Gateway], None]) -> int:
    """
    Serve until SIGINT or SIGTERM; return the exit code.

    ``ready`` is called once the port is open.

    Raises:
        StartError: the port is taken, or another gateway uses the folder of data.
    """
    os.makedirs(settings.data, mode=0o700, exist_ok=True)
    with _only_one(settings.data), _listen(settings.host, settings.port) as listener:
        settings = replace(settings, port=listener.getsockname()[1])
        gateway = open_gateway(settings, environ)
        ready(gateway)
        config = uvicorn.Config(
            application(gateway), log_config=None, access_log=False, server_header=False
        )
        _Server(config, gateway).run(sockets=[listener])
    return 0


def application(gateway: Gateway) -> Starlette:
    """Return the ASGI application of a gateway, which it closes at its end."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        gateway.start()
        yield
        gateway.close()

    app = Starlette(
        routes=[*routes(), *page.routes()],
        lifespan=lifespan,
        middleware=[Middleware(OwnHosts, (gateway.settings.host, *gateway.settings.names))],
        exception_handlers={ApiError: error_response, **page.EXCEPTION_HANDLERS},
    )
    app.state.gateway = gateway
    return app


class _Server(uvicorn.Server):
    """A server whose pages do not keep it from stopping."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams of events, then wait for requests."""
        self._gateway.changes.close()
        await super().shutdown(sockets)


@contextmanager
def _only_one(data: str) -> Iterator[None]:
    """Hold a lock on a folder of data, so that no second gateway writes to it."""
    lock = os.open(os.path.join(data, "lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        _lock(lock, data)
        yield
    finally:
        os.close(lock)


def _lock(descriptor: int, data: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StartError(
            f"another hotwhisk up uses {data}: stop it, or give --data FOLDER"
        ) from None


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise StartError(
            f"port {port} on {host} cannot be used: {error.strerror or error}; "
            "stop what listens there, or give --port 0 for any free port"
        ) from None
