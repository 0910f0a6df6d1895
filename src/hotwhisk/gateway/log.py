"""
Write one line for each event to standard error: as text, or as JSON.

Any module of the gateway reports an event by `log_event`. The lines have the names of things and
their numbers, and neither keys nor what an action was called with.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

_LOGGER: Final = logging.getLogger("hotwhisk.gateway")
_FOREIGN: Final = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")


class LogFormat(StrEnum):
    """The form of a line: for people, or for a program that collects logs."""

    TEXT = "text"
    JSON = "json"


def log_event(
    message: str,
    *,
    level: int = logging.INFO,
    exc_info: BaseException | None = None,
    **fields: object,
) -> None:
    """
    Report an event.

    ``fields`` become keys of the JSON line, such as ``requestId`` or ``activation_id``; a text line
    has the message alone. The traceback of ``exc_info`` follows.
    """
    _LOGGER.log(level, message, exc_info=exc_info, extra={"fields": fields})


def open_log(form: LogFormat, level: int = logging.INFO) -> None:
    """Send events of a level to standard error, and silence the texts of the libraries."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLine() if form is LogFormat.JSON else _TextLine())
    _LOGGER.handlers[:] = [handler]
    _LOGGER.setLevel(level)
    _LOGGER.propagate = False
    for name in _FOREIGN:
        logging.getLogger(name).disabled = True
    logging.raiseExceptions = False  # a log that cannot be written fails no request


class _TextLine(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("hotwhisk: %(message)s")


class _JsonLine(logging.Formatter):
    """``timestamp``, ``level`` and ``message`` as AWS Lambda names them, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a JSON object on one line."""
        time = datetime.fromtimestamp(record.created, UTC)
        line = {
            "timestamp": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
