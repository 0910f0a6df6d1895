"""Call the server that has the function loaded, and tell what became of each event."""

from __future__ import annotations

import time

from hotwhisk.aws_lambda.failure import EXITED, TIMED_OUT, Failure
from hotwhisk.aws_lambda.http_connection import HttpConnection
from hotwhisk.json_codec import dumps, loads
from hotwhisk.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from hotwhisk.aws_lambda.lambda_settings import LambdaSettings
    from hotwhisk.aws_lambda.runtime_api import Invocation
    from hotwhisk.config.option import Address

SOURCE: Final = """\
from hotwhisk.aws_lambda.function import load
main = load(
    {handler!r}, {folder!r}, {log_socket!r}, {log_provider!r},
    overlaps={overlaps}, artifact={artifact!r},
)
"""
"""The version that the server is given."""

ENDED: Final = "the server of the function ended"
BINARY: Final = "application/octet-stream"


class Result(Record):
    """What a function returned, as it is posted."""

    body: bytes
    content_type: str = "application/json"


class FunctionClient:
    """Calls the server at ``address``, over a connection of its own."""

    def __init__(self, address: Address, token: str) -> None:
        self._connection = HttpConnection(address)
        self._headers = f"Authorization: Bearer {token}\r\n".encode()

    def load(self, settings: LambdaSettings, folder: str, log_provider: str = "") -> Failure | None:
        """
        Have the function loaded, from ``folder`` or its artifact; return what went wrong.

        ``log_provider`` is the name of a `LogProvider`, if the log has a descriptor.
        """
        source = SOURCE.format(
            handler=settings.handler,
            folder=folder,
            log_socket=settings.log_socket,
            log_provider=log_provider,
            overlaps=settings.concurrency > 1,
            artifact=settings.artifact,
        )
        answer = self._post(b"POST /init", {"value": {"code": source}})
        if isinstance(answer, str):
            return Failure(EXITED, f"Error: {answer}")
        return self.run_hook("loaded")

    def run_hook(self, name: str) -> Failure | None:
        """Have the function run what belongs to a moment of its life; return what went wrong."""
        answer = self._post(b"POST /run", {"value": {"hook": name}})
        if isinstance(answer, str):
            return Failure(EXITED, f"Error: {answer}")
        return _failure(answer["error"]) if "error" in answer else None

    def connect(self) -> None:
        """
        Connect, so that the server can give each connection a worker of its own.

        Raises:
            OSError: the server has ended.
        """
        self._connection.connect()

    def handle(self, invocation: Invocation, *, restored: bool) -> Result | Failure:
        """
        Have an event handled. ``restored`` says whether this process is a copy of a snapshot.

        The server ends a worker that is not done at the event's deadline.
        """
        began = time.monotonic()
        event = invocation.body.decode(errors="replace")
        value = {"event": event, "invocation": invocation.headers, "restored": restored}
        request: dict[str, object] = {"value": value}
        deadline = invocation.headers.get("deadline", "")
        if deadline:
            request["deadline"] = deadline
        answer = self._post(b"POST /run", request)
        if isinstance(answer, str):
            error = f"RequestId: {invocation.request_id} Error: "
            if deadline.isdigit() and time.time() * 1000 >= int(deadline):
                seconds = time.monotonic() - began
                return Failure(TIMED_OUT, f"{error}Task timed out after {seconds:.2f} seconds")
            return Failure(EXITED, error + answer)
        if "error" in answer:
            return _failure(answer["error"], f"RequestId: {invocation.request_id} ")
        if "binary" in answer:
            return Result(answer["response"].encode("latin-1"), BINARY)
        return Result(answer["response"].encode())

    def _post(self, start: bytes, document: dict[str, object]) -> dict[str, Any] | str:
        """Return the answer to a request, or why there is none from the function."""
        try:
            response = self._connection.request(start, self._headers, dumps(document))
        except OSError:
            return ENDED
        answer: Any = loads(response.body)
        if response.status != 200:
            return str(answer.get("error"))
        found: dict[str, Any] = answer
        return found


def _failure(error: dict[str, Any] | str, start: str = "") -> Failure:
    """
    Return the failure that an answer reports.

    That is a text if the worker's own code failed, and not the function. ``start`` begins its
    message then.
    """
    if isinstance(error, dict):
        return Failure(**error)
    return Failure(EXITED, f"{start}Error: {error}")
