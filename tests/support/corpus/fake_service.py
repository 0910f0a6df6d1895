"""
The server that actions of the corpus call.

Its counters start again after a round: a client that asks the same again after a whole round gets
the same answers. So two runtimes can be compared that call it one after the other.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

ORDERS = [
    {"id": 1001, "customer": "Ada", "cents": 1250, "status": "open"},
    {"id": 1002, "customer": "Grace", "cents": 990, "status": "paid"},
    {"id": 1003, "customer": "Zoë", "cents": 40000, "status": "open"},
    {"id": 1004, "customer": "Ada", "cents": 5, "status": "open"},
]
PAGE = 2
TOKEN = "Bearer corpus-token"


class FakeService(ThreadingHTTPServer):
    """Listens on ``host``, at a free port unless one is given."""

    daemon_threads = True

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__((host, port), Answer)
        self.calls: Counter[str] = Counter()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """The URL for clients on this machine."""
        return f"http://127.0.0.1:{self.server_port}"

    def count(self, path: str, round_length: int) -> int:
        """Return the next number from 1 to ``round_length``; after the last, begin again."""
        with self.lock:
            self.calls[path] += 1
            return (self.calls[path] - 1) % round_length + 1

    @contextmanager
    def serving(self) -> Iterator[FakeService]:
        """Serve in a thread until the context ends."""
        with self:
            thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield self
            finally:
                self.shutdown()
                thread.join()


class Answer(BaseHTTPRequestHandler):
    """Answers a request; a path that no row below begins is 404."""

    server: FakeService

    def do_GET(self) -> None:
        for prefix, answer in ROUTES.items():
            if self.path.startswith(prefix):
                return self.reply(*answer(self))
        return self.reply(404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/reports":
            return self.reply(404, {})
        media = self.headers.get_content_type()
        return self.reply(201, {"media": media, "report": json.loads(body)})

    def reply(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _flaky(request: Answer) -> tuple[int, object]:
    count = request.server.count(request.path, 2)
    return (503, {}) if count == 1 else (200, {"call": count})


def _pages(request: Answer) -> tuple[int, object]:
    page = int(request.path.rpartition("=")[2])
    items = [page * 3 + offset for offset in range(3)]
    return 200, {"items": items, "next": str(page + 1) if page < 2 else None}


def _orders(request: Answer) -> tuple[int, object]:
    if request.headers["Authorization"] != TOKEN:
        return 401, {"message": "who are you?"}
    if request.server.count(request.path, 2) == 1:
        return 503, {}
    query = parse_qs(urlsplit(request.path).query)
    page, status = int(query["page"][0]), query["status"][0]
    found = [order for order in ORDERS if order["status"] == status]
    begin = (page - 1) * PAGE
    more = page + 1 if len(found) > begin + PAGE else None
    return 200, {"orders": found[begin : begin + PAGE], "next": more}


ROUTES: dict[str, Callable[[Answer], tuple[int, Any]]] = {
    "/flaky/": _flaky,
    "/echo/": lambda request: (200, {"echo": unquote(request.path.removeprefix("/echo/"))}),
    "/pages?after=": _pages,
    "/orders?": _orders,
    "/agent": lambda request: (200, {"agent": request.headers["User-Agent"]}),
    "/count": lambda request: (200, {"fetched": request.server.count(request.path, 2)}),
}
