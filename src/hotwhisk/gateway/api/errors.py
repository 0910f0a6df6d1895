"""
Refuse a request as the platform does: a status, a text, and the number of the transaction.

The texts are the platform's own. Source: ``ErrorResponse.scala`` of apache/openwhisk, and for
requests that reach no route the texts of Akka HTTP, on which the platform's controller is built.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

NOT_FOUND: Final = "The requested resource does not exist."
UNKNOWN_ROUTE: Final = "The requested resource could not be found."
WHERE: Final = (
    "The API is below /api/v1/namespaces/_, such as /api/v1/namespaces/_/actions/NAME; a web "
    "action is at /api/v1/web/NAMESPACE/PACKAGE/ACTION; the page for browsers is at /."
)
NO_KEY: Final = "The resource requires authentication, which was not supplied with the request"
UNAUTHORIZED: Final = "The supplied authentication is invalid"
FORBIDDEN: Final = "The supplied authentication is not authorized to access this resource."
EXISTS: Final = "resource already exists"
OTHER_COLLECTION: Final = "Resource by this name exists but is not in this collection."
CONFLICT: Final = "Concurrent modification to resource detected."
ILLEGAL_NAME: Final = "The name of the entity contains illegal characters."
NOT_ALLOWED: Final = "Request defines parameters that are not allowed (e.g., reserved properties)."
NOT_ON_BINDING: Final = "Operation not permitted on package binding."
NOT_READY: Final = "Response not yet ready."


class ApiError(Exception):
    """An answer other than a success."""

    def __init__(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers or {}


class JsonResponse(JSONResponse):
    """JSON in UTF-8, with a question mark for half a surrogate pair, as Java writes it."""

    def render(self, content: Any) -> bytes:
        """Return the bytes of the body."""
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "replace")


def malformed(reason: str) -> ApiError:
    """Return the refusal of a body that is JSON but not what the route expects, or no JSON."""
    return ApiError(400, f"The request content was malformed:\n{reason}")


def malformed_query(key: str, reason: str) -> ApiError:
    """Return the refusal of a query parameter."""
    return ApiError(400, f"The query parameter '{key}' was malformed:\n{reason}")


def too_large(what: str, size: int, most: int) -> ApiError:
    """Return the refusal of something that has too many bytes."""
    return ApiError(413, f"{what} larger than allowed: {size} > {most} bytes.")


def too_late(reason: str) -> ApiError:
    """Return the refusal of a request whose rest does not come."""
    return ApiError(408, reason, {"Connection": "close"})


def wrong_method(allowed: Iterable[str]) -> ApiError:
    """Return the refusal of a method that a route does not have."""
    methods = ", ".join(allowed)
    text = f"HTTP method not allowed, supported methods: {methods}"
    return ApiError(405, text, {"Allow": methods})


def request_id(request: Request) -> str:
    """Return the identifier of a request, which the log has too."""
    identifier: str = getattr(request.state, "request_id", None) or secrets.token_hex(16)
    return identifier


def error_response(request: Request, error: Exception) -> Response:
    """Return the answer for an `ApiError`."""
    assert isinstance(error, ApiError)
    headers = dict(error.headers)
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="whisk rest service"'
    return JsonResponse({"error": error.text, "code": request_id(request)}, error.status, headers)


def unknown_route(request: Request, _: Exception) -> Response:
    """
    Return the answer to a request that no route takes.

    Outside of the API, a sentence that says where it is follows the platform's text.
    """
    inside = request.url.path.startswith("/api/v1/namespaces/")
    return error_response(
        request, ApiError(404, UNKNOWN_ROUTE if inside else f"{UNKNOWN_ROUTE} {WHERE}")
    )


def refused_method(request: Request, error: Exception) -> Response:
    """Return the answer to a request whose path has a route, but not for its method."""
    assert isinstance(error, HTTPException)
    allowed = (error.headers or {}).get("Allow", "").split(", ")
    return error_response(request, wrong_method(sorted(allowed)))
