"""
Write a function's log as the platform reads it: text or JSON, on stdout or in frames.

Functions expect that the root logger has a handler, which writes the request's id. If the platform
gives a descriptor for the log, each message is one frame there, so that a message of several lines
stays one. What the function prints goes to its streams as it is.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback
from contextvars import ContextVar

from hotwhisk.aws_lambda.lambda_settings import is_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

    from hotwhisk.aws_lambda.failure import Failure

JSON_FRAME: Final = 0xA55A0002
TEXT_FRAME: Final = 0xA55A0003
_OF_LEVEL: Final = {
    logging.DEBUG: 0x08,
    logging.INFO: 0x0C,
    logging.WARNING: 0x10,
    logging.ERROR: 0x14,
    logging.CRITICAL: 0x18,
}
"""What a level adds to the type of a frame."""

_LEVELS: Final = {"TRACE": "DEBUG", "FATAL": "CRITICAL"}
"""The platform's levels that `logging` calls otherwise."""

_TEXT: Final = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
_SECONDS: Final = "%Y-%m-%dT%H:%M:%S"
_OWN: Final = {
    *vars(logging.makeLogRecord({})), "message", "asctime", "aws_request_id", "tenant_id",
    "taskName",
}  # fmt: skip
"""The attributes of a record that its caller did not add."""


_NO_EVENT: Final = ("", None)
_event: Final[ContextVar[tuple[str, str | None] | None]] = ContextVar("event", default=None)
"""The ids of the event that is being handled. Each of several coroutines sees its own."""


class FunctionLog:
    """Writes messages to the platform."""

    def __init__(self, environ: Mapping[str, str], descriptor: int = -1) -> None:
        """Take the environment, and the ``descriptor`` for frames if there is one."""
        self.json = is_json(environ)
        level = environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
        self.level = _LEVELS.get(level, level)
        self._descriptor = descriptor
        self._only: tuple[str, str | None] = _NO_EVENT

    def begin(self, request_id: str, tenant_id: str | None, *, overlaps: bool) -> None:
        """Take the ids of the event to which the next lines belong."""
        event = (request_id, tenant_id)
        _event.set(event)
        # A thread of the function has a context of its own, but there is only this event.
        self._only = _NO_EVENT if overlaps else event

    @property
    def ids(self) -> tuple[str, str | None]:
        """The ids of the request and of the tenant of the event that is being handled."""
        return _event.get() or self._only

    def install(self) -> None:
        """Have the root logger write here, and write what is printed line by line."""
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(line_buffering=True)
        root = logging.getLogger()
        root.addHandler(_Handler(self))
        if self.level in logging.getLevelNamesMapping():
            root.setLevel(self.level)

    def write(self, text: str, level: int = logging.NOTSET) -> None:
        """Write a message, without a newline at its end, as it is."""
        data = text.encode(errors="backslashreplace")  # a lone surrogate has no form in UTF-8
        if self._descriptor < 0:
            sys.stdout.write(f"{data.decode()}\n")
            sys.stdout.flush()
            return
        kind = (JSON_FRAME if self.json else TEXT_FRAME) + _OF_LEVEL.get(level, 0)
        at = time.time_ns() // 1000
        parts = (kind.to_bytes(4, "big"), len(data).to_bytes(4, "big"), at.to_bytes(8, "big"), data)
        frame = b"".join(parts)
        while frame:
            frame = frame[os.write(self._descriptor, frame) :]

    def write_failure(self, failure: Failure) -> None:
        """Write what ended the handling of an event, or the start."""
        if self.json:
            document = {"timestamp": _timestamp(time.time()), "level": "ERROR"}
            self.write(_json({**document, **failure.document(self.ids[0])}), logging.ERROR)
            return
        text = f"[ERROR] {failure.type}: {failure.message}"
        if failure.stack:
            text += "\nTraceback (most recent call last):\n" + "".join(failure.stack).rstrip()
        if self._descriptor < 0 and not sys.stdout.isatty():
            # The platform makes an entry of each line of stdout, but not of each carriage return.
            text = text.replace("\n", "\r")
        self.write(text, logging.ERROR)


class _Handler(logging.Handler):
    """Writes the records of all loggers."""

    def __init__(self, log: FunctionLog) -> None:
        super().__init__()
        self._log = log
        self.setFormatter(_JsonFormatter() if log.json else _TextFormatter(_TEXT, _SECONDS))

    def emit(self, record: logging.LogRecord) -> None:
        record.aws_request_id, record.tenant_id = self._log.ids
        try:
            self._log.write(self.format(record), min(50, record.levelno) // 10 * 10)
        except Exception:  # noqa: BLE001 - as every handler of logging does
            self.handleError(record)


class _TextFormatter(logging.Formatter):
    converter = time.gmtime  # type: ignore[assignment]  # it is no method, as in logging itself


class _JsonFormatter(logging.Formatter):
    """Makes one JSON object of a record, with what its caller added by ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object."""
        fields: dict[str, Any] = {
            "timestamp": _timestamp(record.created),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            "requestId": record.aws_request_id,  # type: ignore[attr-defined]  # set by `emit`
            "tenantId": record.tenant_id,  # type: ignore[attr-defined]
        }
        kind, error, trace = record.exc_info or (None, None, None)
        if kind is not None:
            fields["errorType"], fields["errorMessage"] = kind.__name__, str(error)
            fields["stackTrace"] = traceback.format_tb(trace)
            fields["location"] = f"{record.pathname}:{record.funcName}:{record.lineno}"
        added = {name: value for name, value in vars(record).items() if name not in _OWN}
        known = {name: value for name, value in fields.items() if value is not None}
        return _json({**added, **known})


def _timestamp(at: float) -> str:
    whole = time.strftime(_SECONDS, time.gmtime(at))
    return f"{whole}.{int(at * 1000) % 1000:03d}Z"


def _json(fields: Mapping[str, object]) -> str:
    return json.dumps(fields, ensure_ascii=False, default=str)
