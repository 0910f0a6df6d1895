"""
The context of an event, the second argument of a function's handler.

The names are those of the platform's documentation. Functions and their libraries set attributes of
their own on it, so it is an ordinary object.
"""

from __future__ import annotations

import json
import time

from hotwhisk.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


class FunctionNames(Record):
    """What the environment says about the function; None for what is not set."""

    function_name: str | None
    function_version: str | None
    memory_limit_in_mb: str | None
    log_group_name: str | None
    log_stream_name: str | None


def read_names(environ: Mapping[str, str]) -> FunctionNames:
    """Return what the environment says about the function."""
    return FunctionNames(
        environ.get("AWS_LAMBDA_FUNCTION_NAME"),
        environ.get("AWS_LAMBDA_FUNCTION_VERSION"),
        environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
        environ.get("AWS_LAMBDA_LOG_GROUP_NAME"),
        environ.get("AWS_LAMBDA_LOG_STREAM_NAME"),
    )


class _Members:
    """An object whose attributes are the members of a JSON object, None for those it lacks."""

    names: tuple[str, ...] = ()

    def __init__(self, values: Mapping[str, Any]) -> None:
        for name in self.names:
            setattr(self, name, values.get(name))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.names)
        return f"{type(self).__name__}({shown})"


class Client(_Members):
    """The application that called by way of a mobile SDK."""

    names = (
        "installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name",
    )  # fmt: skip


class ClientContext(_Members):
    """What the caller passed on as its client context: ``custom``, ``env`` and ``client``."""

    names = ("custom", "env", "client")

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        client = values.get("client")
        self.client = None if client is None else Client(client)


class CognitoIdentity:
    """The caller's identity in Amazon Cognito; None for what is not known."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.cognito_identity_id = values.get("cognitoIdentityId")
        self.cognito_identity_pool_id = values.get("cognitoIdentityPoolId")

    def __repr__(self) -> str:
        return f"CognitoIdentity({self.cognito_identity_id!r}, {self.cognito_identity_pool_id!r})"


class LambdaContext:
    """Describes an event and the function that handles it."""

    def __init__(
        self, invocation: Mapping[str, str], names: FunctionNames, log: Callable[[str], None]
    ) -> None:
        """
        Take the headers of an ``invocation``. ``log`` writes a text to the function's log.

        Raises:
            ValueError: the client context or the identity is not JSON.
            AttributeError: one of them, or the client in the first, is no object.
            RecursionError: one of them is nested too deeply.
        """
        self.aws_request_id = invocation["request_id"]
        self.function_name = names.function_name
        self.function_version = names.function_version
        self.memory_limit_in_mb = names.memory_limit_in_mb
        self.log_group_name = names.log_group_name
        self.log_stream_name = names.log_stream_name
        self.invoked_function_arn = invocation.get("arn")
        self.tenant_id = invocation.get("tenant_id")
        client = invocation.get("client_context")
        self.client_context = ClientContext(json.loads(client)) if client else None
        self.identity = CognitoIdentity(json.loads(invocation.get("identity") or "{}"))
        self._deadline = int(invocation.get("deadline") or 0)
        self._log = log

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the function is timed out, at least 0."""
        return max(0, self._deadline - int(time.time() * 1000))

    def log(self, message: object) -> None:
        """Write a message to the function's log."""
        self._log(str(message))

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}={value!r}" for name, value in vars(self).items() if name[0] != "_"
        )
        return f"LambdaContext({shown})"
