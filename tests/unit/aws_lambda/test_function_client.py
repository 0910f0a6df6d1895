"""What the client makes of an answer that no function gives, over a real connection."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from hotwhisk.aws_lambda.failure import Failure
from hotwhisk.aws_lambda.function_client import FunctionClient
from hotwhisk.aws_lambda.runtime_api import Invocation
from hotwhisk.config.option import Address

ANSWER = b'{"error":"as of the plain profile"}'


class Handler(BaseHTTPRequestHandler):
    """Answers as a server does whose worker raised an exception outside of the function."""

    def do_POST(self) -> None:
        """Answer with a text as the error."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def client() -> Iterator[FunctionClient]:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        yield FunctionClient(Address("127.0.0.1", server.server_port), "token")


def test_an_error_of_the_worker_fails_the_event(client: FunctionClient) -> None:
    outcome = client.handle(Invocation({"request_id": "r1"}, b"{}"), restored=False)
    assert isinstance(outcome, Failure)
    assert outcome.type == "Runtime.ExitError"
    assert outcome.message == "RequestId: r1 Error: as of the plain profile"


def test_an_error_of_the_worker_fails_a_hook(client: FunctionClient) -> None:
    failure = client.run_hook("after_restore")
    assert failure is not None
    assert (failure.type, failure.message) == (
        "Runtime.ExitError",
        "Error: as of the plain profile",
    )
