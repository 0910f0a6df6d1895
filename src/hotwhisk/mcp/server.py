"""Serve the action of a server of ``hotwhisk serve`` to agents, in a process beside it."""

from __future__ import annotations

import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hotwhisk.access.check import AccessCheck
from hotwhisk.access.token_files import TokenFiles
from hotwhisk.config.config import Config
from hotwhisk.errors import BodyTooLarge, RequestError, UnsupportedMediaType
from hotwhisk.http1.head import Head
from hotwhisk.mcp.idle_connections import REQUEST_SECONDS, IdleConnections
from hotwhisk.mcp.remote_action import OneTool, RemoteAction
from hotwhisk.mcp.request_body import TooLongError, read_body
from hotwhisk.mcp.tool_answers import HEADERS, answer
from hotwhisk.supervisor.resources import raise_open_files

MOST_CONNECTIONS: Final = 512
"""With so many open connections, or requests that wait, a further request gets 503."""
MOST_BODY: Final = 4 << 20
"""Most bytes of a request."""
END_SECONDS: Final = 5
"""How long last answers may take once the server has ended."""


def serve(listener: socket.socket, config: Config, control: str) -> None:
    """Serve until SIGTERM. ``control`` is the path of the control socket of the server."""
    raise_open_files()  # connections that send nothing must not use up those of calls
    app = Starlette(routes=[Route("/mcp", _endpoint(config, control), methods=["POST"])])
    settings = uvicorn.Config(
        app,
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        lifespan="off",
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=END_SECONDS,
        ws="none",
    )
    _Server(settings).run(sockets=[listener])


class _Server(uvicorn.Server):
    """A server that obeys SIGTERM only: Ctrl-C is for the server beside it."""

    def __init__(self, settings: uvicorn.Config) -> None:
        super().__init__(settings)
        self._idle = IdleConnections(self.server_state.connections)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Obey the signal from now on."""
        signal.signal(signal.SIGTERM, self.handle_exit)
        yield

    async def on_tick(self, counter: int) -> bool:
        """Close idle connections now and then; uvicorn calls this ten times a second."""
        if counter % (REQUEST_SECONDS * 10) == 0:
            self._idle.close()
        return await super().on_tick(counter)


def _endpoint(config: Config, control: str) -> Callable[[Request], Awaitable[Response]]:
    files, tokens = TokenFiles(config), config.tokens
    access = AccessCheck(config, takes_events=False)
    action = RemoteAction(config, control)

    async def post(request: Request) -> Response:
        nonlocal tokens
        # Only workers are told that a token was replaced. The one before must not stay good here.
        tokens = files.read_again(tokens)
        access.set_tokens(tokens)
        try:
            access.check_caller(_head(request))
            _check_type(request)
            body = await _body(request)
        except TimeoutError as error:
            return JSONResponse({"error": str(error)}, 408, {"Connection": "close"})
        except RequestError as error:
            lines = error.headers.decode().splitlines()
            headers = dict(line.split(": ", 1) for line in lines)
            return JSONResponse({"error": str(error)}, error.status, headers)
        tools = OneTool(action, request.headers.get("authorization"))
        found = await answer(request.headers.getlist, body, tools)
        return Response(found.body, found.status, HEADERS)

    return post


def _head(request: Request) -> Head:
    """Return what the server checks of a request: one to the tool needs what ``/run`` needs."""
    headers = tuple(request.headers.items())
    return Head("POST", "/run", 1, headers, None, False, True, False)


def _check_type(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise UnsupportedMediaType("expected the header Content-Type: application/json")


async def _body(request: Request) -> bytes:
    try:
        return await read_body(request, MOST_BODY)
    except TooLongError:
        raise BodyTooLarge(f"the body has more than {MOST_BODY >> 20} MB") from None
    except ClientDisconnect:
        raise RequestError("the client has left") from None
