"""
A small server of one process and one thread per connection, with faults on request.

It replaces hotwhisk in tests of the proofs themselves. Without ``--fault`` it is right, as far as
one process can be. With a fault it is wrong in exactly one way, to check that a proof sees that
fault. It uses the standard library only, and is run as a file.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

FAULTS = ("none", "lose", "stale", "cross", "twice", "drop", "refuse", "deaf", "hoard")
Main = Callable[[dict[str, Any]], Any]


class FakeRuntime:
    """The server: the current action, the open connections, the fault."""

    def __init__(self, listener: socket.socket, fault: str) -> None:
        self.listener = listener
        self.fault = fault
        self.main: Main | None = None
        self.generation = 0
        self.count = 0
        self.open: set[socket.socket] = set()
        self.hoard: list[object] = []
        self.last_token: object = None
        self.lock = threading.Lock()

    def serve(self) -> None:
        """Accept connections for ever."""
        while True:
            listener = self.listener
            try:
                end, _ = listener.accept()
            except OSError:
                continue
            self.open.add(end)
            threading.Thread(target=self.converse, args=(end,), daemon=True).start()

    def converse(self, end: socket.socket) -> None:
        """Serve one connection until it ends."""
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        first = self.main
        with end, end.makefile("rb") as stream:
            try:
                while (request := read_request(stream, end)) is not None:
                    path, body, close = request
                    answer = self.answer(path, body, first, end)
                    if answer is None:
                        break
                    end.sendall(answer * (2 if self.fault == "twice" and self.rare() else 1))
                    if close:
                        break
            except OSError:
                pass
        self.open.discard(end)

    def rare(self) -> bool:
        """Return True once in every fifty calls."""
        self.count += 1
        return self.count % 50 == 0

    def answer(
        self, path: str, body: bytes, first: Main | None, end: socket.socket
    ) -> bytes | None:
        """Return the bytes of the answer, or None to close without one."""
        try:
            value = json.loads(body)["value"]
        except (ValueError, KeyError, TypeError):
            return self.render(400, {"error": "the body must be JSON with the key value"})
        if path == "/init":
            return self.init(value, end)
        if self.fault == "lose" and self.rare():
            return None
        with self.lock:
            main = first if self.fault == "stale" and first is not None else self.main
            if main is None:
                return self.render(502, {"error": "the action failed to locate a binary"})
            if self.fault == "cross":
                value["token"], self.last_token = self.last_token, value.get("token")
        try:
            return self.render(200, main(value))
        except Exception as error:  # noqa: BLE001 - the boundary of user code
            return self.render(502, {"error": repr(error)})

    def init(self, value: dict[str, Any], end: socket.socket) -> bytes:
        """Make the posted source current."""
        scope: dict[str, Any] = {"__name__": "main__"}
        try:
            exec(compile(value["code"], "main__", "exec"), scope)
            main = scope[value.get("main", "main")]
        except BaseException as error:  # noqa: BLE001 - the boundary of user code
            return self.render(502, {"error": repr(error)})
        if self.fault == "deaf" and self.generation:
            return self.render(200, {"ok": True})
        with self.lock:
            self.main = main
            self.generation += 1
        if self.fault == "drop":
            for other in list(self.open - {end}):
                other.shutdown(socket.SHUT_RDWR)
        if self.fault == "refuse" and self.generation > 1:
            self.reopen()
        if self.fault == "hoard":
            self.hoard.append((open(os.devnull, "rb"), bytearray(os.urandom(64 * 1024))))
        return self.render(200, {"ok": True})

    def reopen(self) -> None:
        """Close the port for a moment, as servers do that stop before they start again."""
        address = self.listener.getsockname()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        threading.Event().wait(0.05)  # the fault itself: how long the port is closed
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
        self.listener = listener

    def render(self, status: int, answer: object) -> bytes:
        """Return one complete answer as bytes."""
        body = json.dumps(answer).encode()
        head = (
            f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
            f"Hotwhisk-Generation: {self.generation} {'0' * 12}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def read_request(stream: Any, end: socket.socket) -> tuple[str, bytes, bool] | None:
    """Return path, body and whether to close; None at the end of the stream."""
    line = stream.readline()
    if not line:
        return None
    parts = line.split()
    if len(parts) != 3:
        end.sendall(b"HTTP/1.1 400 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return None
    headers = {}
    while (line := stream.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("expect") == "100-continue":
        end.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(stream.readline().split(b";")[0], 16):
            body += stream.read(size)
            stream.readline()
        stream.readline()
    else:
        length = int(headers.get("content-length", 0))
        body = stream.read(length)
        if len(body) < length:
            return None
    return parts[1].decode(), body, headers.get("connection", "").lower() == "close"


def main() -> None:
    """Take the inherited listener, send READY=1, serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fault", choices=FAULTS, default="none")
    fault = parser.parse_args().fault
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        raise SystemExit("LISTEN_PID is not this process")
    listener = socket.socket(fileno=3)
    server = FakeRuntime(listener, fault)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
    server.serve()


if __name__ == "__main__":
    main()
