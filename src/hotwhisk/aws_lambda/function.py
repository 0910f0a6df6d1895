"""
A function of Lambda in a worker: call its handler for the events that `FunctionClient` sends.

To the server this is an action like any other. `load` is called by the source that the server is
given as its version. The event and the result travel as texts. So only this process reads and
writes their JSON, by the platform's rules and with the platform's errors, and an event that is no
JSON cannot change what is sent beside it.
"""

from __future__ import annotations

import decimal
import json
import os
import socket
from contextlib import suppress
from functools import partial

from hotwhisk.action.environ import Variables
from hotwhisk.action.isolation import enter_action_folder
from hotwhisk.action.signature import is_async, is_awaitable
from hotwhisk.aws_lambda import snapshot_hooks
from hotwhisk.aws_lambda.failure import Failure, of_exception
from hotwhisk.aws_lambda.function_log import FunctionLog
from hotwhisk.aws_lambda.handler_import import import_handler
from hotwhisk.aws_lambda.lambda_context import LambdaContext, read_names
from hotwhisk.aws_lambda.lambda_settings import LOG_DESCRIPTOR
from hotwhisk.aws_lambda.log_provider import receive_descriptor
from hotwhisk.registration import on_startup
from hotwhisk.worker.event_loop import run_to_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Final

    from hotwhisk.aws_lambda.handler_import import Handler

    Answer = dict[str, Any]

TRACE: Final = "_X_AMZN_TRACE_ID"
UNMARSHAL: Final = "Runtime.UnmarshalError"
MARSHAL: Final = "Runtime.MarshalError"
CONTEXT: Final = "Runtime.LambdaContextUnmarshalError"


def load(
    name: str,
    folder: str,
    log_socket: str = "",
    log_provider: str = "",
    *,
    overlaps: bool = False,
    artifact: str = "",
) -> Handler:
    """
    Import the function and return what the server calls for each request.

    ``folder`` has the function's code, or ``artifact``, a built file, has it. Each worker connects
    its output to ``log_socket``, and gets the descriptor of the log from ``log_provider``, if there
    is one. ``overlaps`` says whether several events may be open in one process.
    """
    if not artifact:
        enter_action_folder(folder)
    os.environ.pop(LOG_DESCRIPTOR, None)
    log = FunctionLog(os.environ, receive_descriptor(log_provider) if log_provider else -1)
    log.install()
    if log_socket:
        on_startup(lambda: connect_output(log_socket))
    if artifact:
        from hotwhisk.aws_lambda.built_function import load_built  # only where there is one

        found = load_built(artifact, name)
    else:
        found = import_handler(name)
    if isinstance(found, Failure):
        log.write_failure(found)
        return partial(_refuse, found)
    function = Function(found, log, overlaps=overlaps and is_async(found))
    return function.call_async if is_async(found) else function.call


def connect_output(path: str) -> None:
    """Connect both output streams of this process to the platform's socket."""
    for number in (1, 2):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(path)
            os.dup2(connection.fileno(), number)


class Function:
    """Calls a handler. ``overlaps`` says whether several events may be open in this process."""

    def __init__(self, handler: Handler, log: FunctionLog, *, overlaps: bool) -> None:
        self._handler = handler
        self._log = log
        self._names = read_names(os.environ)
        self._variables = Variables()
        self._overlaps = overlaps
        self._restored = False

    def call(self, request: Mapping[str, Any]) -> Answer:
        """Answer a request by calling a synchronous handler."""
        begun = self._begin(request)
        if isinstance(begun, dict):
            return begun
        try:
            result = self._handler(*begun)
            while is_awaitable(result):
                result = run_to_end(result)
        except Exception as error:  # noqa: BLE001 - code of the function ran
            return self._fail(of_exception(error))
        return self._respond(result)

    async def call_async(self, request: Mapping[str, Any]) -> Answer:
        """Answer a request by calling an asynchronous handler."""
        begun = self._begin(request)
        if isinstance(begun, dict):
            return begun
        try:
            result = await self._handler(*begun)
        except Exception as error:  # noqa: BLE001 - code of the function ran
            return self._fail(of_exception(error))
        return self._respond(result)

    def _begin(self, request: Mapping[str, Any]) -> tuple[object, LambdaContext] | Answer:
        """Return the arguments of the handler, or the answer if it is not to be called."""
        if (hook := request.get("hook")) is not None:
            return self._run_hook(hook)
        invocation = request["invocation"]
        ids = invocation["request_id"], invocation.get("tenant_id")
        self._log.begin(*ids, overlaps=self._overlaps)
        if not self._overlaps:
            self._show_trace(invocation.get("trace_id"))
        if request.get("restored") and not self._restored:
            answer = self._run_hook("after_restore")  # this worker was started after the restore
            if "error" in answer:
                return answer
        try:
            event = json.loads(request["event"])
        except Exception as error:  # noqa: BLE001 - RecursionError too: the event is its sender's
            return self._fail(Failure(UNMARSHAL, f"Unable to unmarshal input: {error}"))
        try:
            return event, LambdaContext(invocation, self._names, self._log.write)
        except Exception as error:  # noqa: BLE001 - its JSON may have any form
            message = f"Unable to parse the client context or the identity: {error}"
            return self._fail(Failure(CONTEXT, message))

    def _show_trace(self, trace: str | None) -> None:
        if trace:
            self._variables.set(TRACE, trace)
        elif TRACE in os.environ:
            del os.environ[TRACE]

    def _run_hook(self, name: str) -> Answer:
        self._restored = self._restored or name == "after_restore"
        try:
            _HOOKS[name]()
        except Exception as error:  # noqa: BLE001 - code of the function ran
            return self._fail(of_exception(error))
        return {}

    def _respond(self, result: object) -> Answer:
        if isinstance(result, bytes):
            return {"response": result.decode("latin-1"), "binary": True}
        try:
            text = _write(result)
            if not text.isascii():
                text.encode()  # a lone surrogate has no form in UTF-8
        except Exception as error:  # noqa: BLE001 - code of the function may run
            return self._fail(Failure(MARSHAL, f"Unable to marshal response: {error}"))
        return {"response": text}

    def _fail(self, failure: Failure) -> Answer:
        with suppress(Exception):  # the function may have closed or replaced the stream
            self._log.write_failure(failure)
        return _refuse(failure)


_HOOKS: Final[dict[str, Callable[[], None]]] = {
    "loaded": lambda: None,
    "before_snapshot": snapshot_hooks.run_before_snapshot,
    "after_restore": snapshot_hooks.run_after_restore,
}
"""What runs for each name that a request may give as its ``hook``."""


def _refuse(failure: Failure, _: object = None) -> Answer:
    """Return the answer that reports a failure."""
    fields = {name: getattr(failure, name) for name in Failure.fields}
    return {"error": fields}


def _number(value: object) -> object:
    """Return a decimal number as one that JSON has; boto3 gives such numbers for DynamoDB's."""
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


_write: Final = json.JSONEncoder(ensure_ascii=False, default=_number).encode
