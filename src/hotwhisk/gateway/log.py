"""
Write one line for each event to standard error: as text, or as JSON.

Any module of the gateway reports an event by `log_event`. The lines have the names of things and
their numbers, and neither keys nor what an action was called with.

A thread of its own writes them. So a reader of the log that stops holds up no request; beyond
`MOST_WAITING` lines, further ones are dropped.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from logging.handlers import QueueHandler, QueueListener
from typing import Final

_LOGGER: Final = logging.getLogger("hotwhisk.gateway")
MOST_WAITING: Final = 10_000
"""Lines that wait to be written."""
_LAST_SECONDS: Final = 1.0
"""How long the last lines are waited for at the end."""
_STDERR: Final = 2
NOTICE: Final = 25
"""The level of what `hotwhisk dev` shows too, though nothing is wrong. The name is syslog's."""
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


@contextmanager
def open_log(form: LogFormat, level: int = logging.INFO) -> Iterator[None]:
    """Send events of this level and above to standard error, and silence the libraries."""
    logging.addLevelName(NOTICE, "NOTICE")
    handler = _StandardError()
    handler.setFormatter(_JsonLine() if form is LogFormat.JSON else _TextLine())
    lines: queue.Queue[logging.LogRecord] = queue.Queue(MOST_WAITING)
    writer = QueueListener(lines, handler)
    _LOGGER.handlers[:] = [_Enqueue(lines)]
    _LOGGER.setLevel(level)
    _LOGGER.propagate = False
    for name in _FOREIGN:
        logging.getLogger(name).disabled = True
    logging.raiseExceptions = False  # a log that cannot be written fails no request
    writer.start()
    try:
        yield
    finally:
        last = threading.Thread(target=writer.stop, daemon=True)
        last.start()
        last.join(_LAST_SECONDS)


class _StandardError(logging.Handler):
    """
    Writes lines to the descriptor of standard error.

    It uses neither a lock nor the buffer of `sys.stderr`: while a write waits, the end of the
    process would wait for both.
    """

    def handle(self, record: logging.LogRecord) -> bool:
        """Write without the lock of the handler: one thread writes."""
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line as a whole, however long that takes."""
        try:
            data = (self.format(record) + "\n").encode(errors="backslashreplace")
            while data:
                data = data[os.write(_STDERR, data) :]
        except OSError:
            self.handleError(record)


class _Enqueue(QueueHandler):
    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Return the record as it is: it stays in this process."""
        return record


class _TextLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return the message on one line, without characters that a terminal would obey."""
        message = "".join(each if each.isprintable() else " " for each in record.getMessage())
        traceback = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return f"hotwhisk: {message}{traceback}"


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
