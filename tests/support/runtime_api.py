"""
A stand-in for Lambda's platform, as far as a runtime sees it, which does what a test tells it.

It is a real HTTP server on loopback. A call for the next event stays open until the test gives one.
What the runtime posts for it is the outcome. Nothing here has a limit of time but the waits of the
test itself.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self

BASE = "/2018-06-01/runtime"
SECONDS = 30.0
ROOT = Path(__file__).parents[2]


class Posted(NamedTuple):
    """What the runtime posted: ``response`` or ``error``, its headers and its body."""

    kind: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Event(NamedTuple):
    """An event that waits for a call."""

    body: bytes
    headers: Mapping[str, str]
    outcome: Future[Posted]


class Platform:
    """The platform; a context manager."""

    def __init__(self) -> None:
        self.posted: queue.SimpleQueue[Posted] = queue.SimpleQueue()
        """What was posted about the start and the restore."""
        self.restore: threading.Event = threading.Event()
        """Whether the call that waits for a restore is answered."""
        self.at_restore = threading.Event()
        """Whether the runtime has made that call."""
        self.statuses: dict[str, int] = {}
        """Statuses of answers other than the usual one: to ``next``, ``response``, ``error``."""
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._open: dict[str, Event] = {}
        self._changed = threading.Condition()
        self._polls = 0
        self._number = 0

    def __enter__(self) -> Self:
        platform = self

        class Handler(_Handler):
            owner = platform

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        host, port = self._server.server_address[:2]
        self.address = f"{host!s}:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        for _ in range(self._polls):
            self._events.put(None)
        self.restore.set()
        self._server.shutdown()
        self._thread.join(SECONDS)
        self._server.server_close()

    def send(self, event: object, seconds: float = 300.0, **headers: str) -> Future[Posted]:
        """Give an event to the next call; return what will be posted for it."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        self._number += 1
        given = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": f"request-{self._number}",
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + seconds) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:1:function:f",
            **{f"Lambda-Runtime-{name.replace('_', '-')}": text for name, text in headers.items()},
        }
        outcome: Future[Posted] = Future()
        self._events.put(Event(body, given, outcome))
        return outcome

    def call(self, event: object, seconds: float = 300.0, **headers: str) -> Posted:
        """Give an event to the next call; wait for what is posted for it."""
        return self.send(event, seconds, **headers).result(SECONDS)

    def wait_polls(self, count: int, seconds: float = SECONDS) -> None:
        """Wait until so many calls for an event are open, at most so many seconds."""
        with self._changed:
            done = self._changed.wait_for(lambda: self._polls >= count, seconds)
        assert done, f"{self._polls} calls are open, and not {count}"

    def next_event(self) -> Event | None:
        """Wait for an event, for an open call; None at the end of the test."""
        self._count(1)
        event = self._events.get()
        self._count(-1)
        if event is not None:
            self._open[event.headers["Lambda-Runtime-Aws-Request-Id"]] = event
        return event

    def take(self, request_id: str, posted: Posted) -> bool:
        """Take what was posted for an event; return False if no such event is open."""
        event = self._open.pop(request_id, None)
        if event is None:
            return False
        event.outcome.set_result(posted)
        return True

    def _count(self, by: int) -> None:
        with self._changed:
            self._polls += by
            self._changed.notify_all()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a runtime that is ended breaks its connections off."""


class _Handler(BaseHTTPRequestHandler):
    owner: Platform
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.path == f"{BASE}/restore/next":
            self.owner.at_restore.set()
            self.owner.restore.wait(SECONDS)
            self._answer(200, b"{}")
            return
        assert self.path == f"{BASE}/invocation/next", self.path
        event = self.owner.next_event()
        if event is None:
            self.close_connection = True
            return
        self._answer(self.owner.statuses.get("next", 200), event.body, event.headers)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        where = self.path.removeprefix(f"{BASE}/")
        posted = Posted(where.rpartition("/")[2], dict(self.headers), body)
        if not where.startswith("invocation/"):
            self.owner.posted.put(Posted(where, dict(self.headers), body))
            self._answer(self.owner.statuses.get(where, 202), b"{}")
            return
        status = self.owner.statuses.get(posted.kind, 202)
        known = self.owner.take(where.split("/")[1], posted)
        self._answer(status if known else 400, b'{"errorMessage":"as the test wants it"}')

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        lines = [f"{name}: {value}\r\n" for name, value in (headers or {}).items()]
        head = f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n{''.join(lines)}\r\n"
        try:
            self.wfile.write(head.encode() + body)
        except OSError:  # the runtime was ended
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class Runtime:
    """``hotwhisk lambda`` as a process that polls a `Platform`; a context manager."""

    def __init__(
        self, platform: Platform, source: str, handler: str = "app.handler", **variables: str
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hotwhisk-test-"))
        self._platform = platform
        self._source = source
        self._handler = handler
        self.variables = variables
        self.command = [sys.executable, "-m", "hotwhisk", "lambda"]
        """What is started, with the handler as its last argument, if it is not empty."""
        self.pass_fds: tuple[int, ...] = ()

    def __enter__(self) -> Self:
        (self.folder / "app.py").write_text(self._source, encoding="utf-8")
        environ = {
            **os.environ,
            "AWS_LAMBDA_RUNTIME_API": self._platform.address,
            "HOTWHISK_RUN_DIR": str(self.folder / "run"),
            "PYTHONPATH": str(ROOT / "src"),
            **self.variables,
        }
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [*self.command, *([self._handler] if self._handler else [])],
                cwd=self.folder, env=environ, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, pass_fds=self.pass_fds,
            )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(SECONDS)

    @property
    def log(self) -> str:
        """What the runtime and the function have printed."""
        return (self.folder / "log").read_text(encoding="utf-8")

    def wait_end(self) -> int:
        """Wait until the runtime has ended; return its exit code."""
        return self.process.wait(SECONDS)
