"""Answer requests that fail for a reason on our side: the disk, the database, a mistake of ours."""

from __future__ import annotations

import logging
import sqlite3
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hotwhisk.gateway.api.errors import request_id
from hotwhisk.gateway.log import log_event
from hotwhisk.gateway.store.database import code_of, describe

_STATUS: Final = {sqlite3.SQLITE_FULL: 507, sqlite3.SQLITE_BUSY: 503}


def database_failed(request: Request, error: Exception) -> Response:
    """Return the answer for a failure of the database."""
    assert isinstance(error, sqlite3.Error)
    status = _STATUS.get(code_of(error), 500)
    return _answer(request, status, f"The database refused this request: {describe(error)}.")


def unexpected(request: Request, error: Exception) -> Response:
    """Return the answer for an exception that is a mistake of the gateway, and log where."""
    return _answer(request, 500, "There was an internal server error.", traceback=error)


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
