"""
Speak Lambda's Runtime API, version 2018-06-01.

Source: AWS's page "Using the Lambda runtime API for custom runtimes", and the handlers of its open
emulator, aws-lambda-runtime-interface-emulator.
"""

from __future__ import annotations

import json
import time

import hotwhisk
from hotwhisk.aws_lambda.http_connection import HttpConnection, Response
from hotwhisk.errors import ServerError
from hotwhisk.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from hotwhisk.aws_lambda.failure import Failure
    from hotwhisk.config.option import Address

_BASE: Final = "/2018-06-01/runtime"
_JSON: Final = "application/json"
_AGENT: Final = f"User-Agent: hotwhisk/{hotwhisk.__version__}\r\n"
_PAUSES: Final = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds before each further attempt to reach the platform."""

_HEADERS: Final = {
    "request_id": "lambda-runtime-aws-request-id",
    "deadline": "lambda-runtime-deadline-ms",
    "arn": "lambda-runtime-invoked-function-arn",
    "trace_id": "lambda-runtime-trace-id",
    "client_context": "lambda-runtime-client-context",
    "identity": "lambda-runtime-cognito-identity",
    "tenant_id": "lambda-runtime-aws-tenant-id",
    "invocation_id": "lambda-runtime-invocation-id",
}
"""The headers of an event, each by its name here."""

ACCEPTED: Final = 202
TOO_LARGE: Final = 413
FORBIDDEN: Final = 403


class Invocation(Record):
    """An event: its headers by their names here, without those that it lacks, and its body."""

    headers: dict[str, str]
    body: bytes

    @property
    def request_id(self) -> str:
        """The platform's number of the event."""
        return self.headers["request_id"]


class RuntimeApi:
    """Calls the platform at ``address``, over a connection of its own."""

    def __init__(self, address: Address) -> None:
        self._connection = HttpConnection(address)

    def next(self) -> Invocation:
        """
        Wait for the next event, without a limit of time.

        Raises:
            ServerError: there is no event any more.
        """
        response = self._call("GET", "/invocation/next")
        if response.status != 200:
            raise _refused("an event", response)
        found = {name: response.headers.get(header) for name, header in _HEADERS.items()}
        headers = {name: value for name, value in found.items() if value}
        if "request_id" not in headers:
            raise ServerError("the platform sent an event without Lambda-Runtime-Aws-Request-Id")
        return Invocation(headers, response.body)

    def respond(self, invocation: Invocation, body: bytes, content_type: str = _JSON) -> str:
        """
        Post the result of an event; return why the platform does not take it, or an empty text.

        Raises:
            ServerError: the platform cannot be reached.
        """
        path = f"/invocation/{invocation.request_id}/response"
        response = self._call("POST", path, _headers(invocation, content_type), body)
        if response.status == TOO_LARGE:
            return f"the result is too large for the platform: {len(body)} bytes"
        return _why_not(response)

    def fail(self, invocation: Invocation, failure: Failure) -> str:
        """
        Post that the handling of an event failed; return why the platform does not take it.

        Raises:
            ServerError: the platform cannot be reached.
        """
        headers = _headers(invocation, _JSON) + _type_header(failure.type)
        if failure.cause:
            headers += f"Lambda-Runtime-Function-XRay-Error-Cause: {failure.cause}\r\n"
        path = f"/invocation/{invocation.request_id}/error"
        document = json.dumps(failure.document(invocation.request_id)).encode()
        return _why_not(self._call("POST", path, headers, document))

    def fail_start(self, failure: Failure, kind: str = "") -> None:
        """
        Post that the function cannot be started. ``kind`` replaces the type of the failure.

        The platform refuses it if the start has failed already.

        Raises:
            ServerError: the platform cannot be reached, or refuses it.
        """
        response = self._post_failure("/init/error", failure, kind)
        if response.status not in (ACCEPTED, FORBIDDEN):
            raise _refused("the error of the start", response)

    def wait_restore(self) -> None:
        """
        Let the platform take its snapshot; return in each copy of it.

        Raises:
            ServerError: the platform cannot be reached, or refuses it.
        """
        response = self._call("GET", "/restore/next")
        if response.status != 200:
            raise _refused("a restore", response)

    def fail_restore(self, failure: Failure) -> None:
        """
        Post that what follows a restore failed.

        Raises:
            ServerError: the platform cannot be reached.
        """
        self._post_failure("/restore/error", failure, "Runtime.AfterRestoreError")

    def _post_failure(self, path: str, failure: Failure, kind: str) -> Response:
        headers = f"Content-Type: {_JSON}\r\n" + _type_header(kind or failure.type)
        return self._call("POST", path, headers, json.dumps(failure.document()).encode())

    def _call(
        self, method: str, path: str, headers: str = "", body: bytes | None = None
    ) -> Response:
        """
        Send a request until there is an answer.

        A connection may have been closed since its last answer. The platform refuses a second
        answer to one event, so it does no harm to send one again.
        """
        start = f"{method} {_BASE}{path}".encode()
        lines = (_AGENT + headers).encode("latin-1", "replace")
        reason = ""
        for pause in (0.0, *_PAUSES):
            time.sleep(pause)  # the platform's own rule for attempts
            try:
                return self._connection.request(start, lines, body)
            except OSError as error:
                reason = error.strerror or str(error)
        raise ServerError(f"the platform does not answer at {path}: {reason}")


def _headers(invocation: Invocation, content_type: str) -> str:
    lines = f"Content-Type: {content_type}\r\n"
    if "invocation_id" in invocation.headers:
        lines += f"Lambda-Runtime-Invocation-Id: {invocation.headers['invocation_id']}\r\n"
    return lines


def _type_header(kind: str) -> str:
    name = "".join(each for each in kind if each.isalnum() or each in "._-")
    return f"Lambda-Runtime-Function-Error-Type: {name}\r\n"


def _why_not(response: Response) -> str:
    if response.status == ACCEPTED:
        return ""
    return f"the platform answers {response.status}: {_shown(response)}"


def _refused(what: str, response: Response) -> ServerError:
    return ServerError(
        f"the platform answers {response.status} where {what} was expected: {_shown(response)}"
    )


def _shown(response: Response) -> str:
    return response.body[:500].decode(errors="replace").strip()
