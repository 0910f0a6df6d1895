"""
Refuse a request as the platform does: a status, a text, and the number of the transaction.

The texts are the platform's own. Source: ``ErrorResponse.scala`` of apache/openwhisk.
"""

from __future__ import annotations

import secrets
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

NOT_FOUND: Final = "The requested resource does not exist."
UNAUTHORIZED: Final = "The supplied authentication is invalid."
FORBIDDEN: Final = "The supplied authentication is not authorized to access this resource."
EXISTS: Final = "resource already exists"
ILLEGAL_NAME: Final = "The name of the entity contains illegal characters."


class ApiError(Exception):
    """An answer other than a success."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def request_id(request: Request) -> str:
    """Return the identifier of a request, which the log has too."""
    identifier: str = getattr(request.state, "request_id", None) or secrets.token_hex(16)
    return identifier


def error_response(request: Request, error: Exception) -> Response:
    """Return the answer for an `ApiError`."""
    assert isinstance(error, ApiError)
    headers = {"WWW-Authenticate": "Basic"} if error.status == 401 else None
    content = {"error": error.text, "code": request_id(request)}
    return JSONResponse(content, error.status, headers)
