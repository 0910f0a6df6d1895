"""
The reference: a bare inline server on uvloop, httptools and orjson, with no features.

One process, no replacement, no deadline, no answer for a worker that died, hardly a check: the cost
of the same function when nothing else is done. It parses the same JSON, calls the function inline
and answers the same body. Listener and readiness as for ``hotwhisk serve``: LISTEN_FDS and
NOTIFY_SOCKET, or ``--port``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
from typing import cast

import httptools
import orjson
import uvloop

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s"


def main(event: object) -> object:
    """Return the event: an echo."""
    return event


class Protocol(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self.body: list[bytes] = []
        self.parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not of asyncio's classes.
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.body = []

    def on_body(self, data: bytes) -> None:
        self.body.append(data)

    def on_message_complete(self) -> None:
        body = self.body[0] if len(self.body) == 1 else b"".join(self.body)
        answer = orjson.dumps(main(orjson.loads(body)["value"]))
        keep = self.parser.should_keep_alive()
        close = b"" if keep else b"Connection: close\r\n"
        self.transport.write(HEAD % (len(answer), close, answer))
        if not keep:
            self.transport.close()


async def serve(listener: socket.socket) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    await loop.create_server(Protocol, sock=listener, backlog=1024)
    if address := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(b"READY=1", address)
    await loop.create_future()


def listen() -> socket.socket:
    """Return the inherited listener, or one on ``--port``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8081)
    port = parser.parse_args().port
    if os.environ.get("LISTEN_PID") == str(os.getpid()):
        return socket.socket(fileno=3)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener


if __name__ == "__main__":
    uvloop.run(serve(listen()))
