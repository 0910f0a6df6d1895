"""Answer requests that fail for a reason on our side: the disk, the database, a mistake of ours."""

from __future__ import annotations

import logging
import sqlite3
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hotwhisk.gateway.api.errors import request_id
from hotwhisk.gateway.log import log_event
from hotwhisk.gateway.store.activations import NotStored
from hotwhisk.gateway.store.database import FilesLost, code_of, describe

_STATUS: Final = {sqlite3.SQLITE_FULL: 507, sqlite3.SQLITE_BUSY: 503}


def database_failed(request: Request, error: Exception) -> Response:
    """Return the answer for a failure of the database."""
    assert isinstance(error, sqlite3.Error)
    text = f"The database refused this request: {describe(error)}."
    return _answer(request, _status(error), text)


def not_stored(request: Request, error: Exception) -> Response:
    """Return the answer for a call that ran and has no record."""
    assert isinstance(error, NotStored)
    return _answer(request, _status(error.__cause__), str(error))


def client_left(_: Request, __: Exception) -> Response:
    """Return the answer for a client that left in the middle of its request: it gets nothing."""
    return Response(status_code=400)


def unexpected(request: Request, error: Exception) -> Response:
    """Return the answer for an exception that is a mistake of the gateway, and log where."""
    return _answer(request, 500, "There was an internal server error.", traceback=error)


def _status(error: BaseException | None) -> int:
    if isinstance(error, FilesLost):
        return 503
    return _STATUS.get(code_of(error), 500) if isinstance(error, sqlite3.Error) else 500


def _answer(
    request: Request, status: int, text: str, *, traceback: Exception | None = None
) -> Response:
    identifier = request_id(request)
    log_event(
        f"{request.method} failed: {text} ({identifier})",
        level=logging.ERROR,
        exc_info=traceback,
        requestId=identifier,
    )
    return JSONResponse({"error": text, "code": identifier}, status)
