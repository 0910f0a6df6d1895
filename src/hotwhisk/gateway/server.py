"""Serve the API and the page until a signal comes."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from hotwhisk.errors import StartError
from hotwhisk.gateway.api.errors import ApiError, error_response, refused_method
from hotwhisk.gateway.api.failures import client_left, database_failed, not_stored, unexpected
from hotwhisk.gateway.api.request_log import RequestLog
from hotwhisk.gateway.api.routes import routes
from hotwhisk.gateway.data_folder import only_gateway, open_data, write_address
from hotwhisk.gateway.gateway import Gateway, open_gateway
from hotwhisk.gateway.hosts import OwnHosts
from hotwhisk.gateway.log import log_event, open_log
from hotwhisk.gateway.page import routes as page
from hotwhisk.gateway.settings import Settings
from hotwhisk.gateway.stopping import GatewayServer
from hotwhisk.gateway.store.activations import NotStored
from hotwhisk.server.listener import inherited_listener, open_listener
from hotwhisk.server.notify import STOPPING, notify, ready_lines
from hotwhisk.supervisor.resources import raise_open_files


def _unchanged(app: ASGIApp) -> ASGIApp:
    return app


def serve(
    settings: Settings,
    environ: Mapping[str, str],
    announce: Callable[[Gateway], None],
    around: Callable[[ASGIApp], ASGIApp] = _unchanged,
) -> int:
    """
    Serve until SIGINT or SIGTERM; return the exit code.

    ``announce`` is called once the port is open. ``around`` may wrap the application.

    Raises:
        StartError: the port is taken, another gateway uses the folder of data, or it is unusable.
    """
    raise_open_files()
    open_data(settings.data)
    with (
        open_log(settings.log_format, settings.log_level),
        only_gateway(settings.data),
        _listen(settings, environ) as listener,
    ):
        host, port = listener.getsockname()[:2]
        names = (settings.host, *settings.names)
        settings = replace(settings, host=host, port=port, names=names)
        gateway = open_gateway(settings, environ)
        inner = around(application(gateway))
        app = RequestLog(inner, gateway.metrics, every=settings.log_requests)
        server = GatewayServer(app, gateway, lambda: _notify(environ, STOPPING))
        write_address(settings.data, settings.url)
        announce(gateway)
        _notify(environ, *ready_lines(f"serving on {settings.url}"))
        server.run(sockets=[listener])
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
        exception_handlers={
            405: refused_method,
            ApiError: error_response,
            ClientDisconnect: client_left,
            NotStored: not_stored,
            sqlite3.Error: database_failed,
            Exception: unexpected,
            **page.EXCEPTION_HANDLERS,
        },
    )
    app.state.gateway = gateway
    return app


def _listen(settings: Settings, environ: Mapping[str, str]) -> socket.socket:
    """Open the port, or use the one that systemd has opened."""
    inherited = inherited_listener(dict(environ), os.getpid())
    if inherited is not None:
        return socket.socket(fileno=inherited.detach())
    last = settings.port + settings.ports_tried - 1
    for port in range(settings.port, last):
        try:
            return _open(settings.host, port)
        except StartError:
            continue
    return _open(settings.host, last)


def _open(host: str, port: int) -> socket.socket:
    return socket.socket(fileno=open_listener(host, port).detach())


def _notify(environ: Mapping[str, str], *lines: str) -> None:
    failure = notify(environ.get("NOTIFY_SOCKET"), *lines)
    if failure:
        log_event(failure)
