"""Read the body and the query of a request."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request

from hotwhisk.gateway.api.errors import ILLEGAL_NAME, ApiError
from hotwhisk.gateway.names import is_name


def name(text: str) -> str:
    """Return the name of an entity if it is valid."""
    if not is_name(text):
        raise ApiError(400, ILLEGAL_NAME)
    return text


def flag(request: Request, key: str) -> bool:
    """Return a query parameter that is true or false; it is false if it is missing."""
    text = request.query_params.get(key, "false").lower()
    if text not in ("true", "false"):
        raise ApiError(400, f'The query parameter "{key}" must be true or false.')
    return text == "true"


def number(request: Request, key: str, default: int | None = None) -> int | None:
    """Return a query parameter that is a whole number, or the default."""
    text = request.query_params.get(key)
    if text is None:
        return default
    try:
        return int(text)
    except ValueError:
        raise ApiError(400, f'The query parameter "{key}" must be a whole number.') from None


async def document(request: Request) -> dict[str, Any]:
    """Return the body, a JSON object; an empty body is an empty object."""
    content = await request.body()
    if not content:
        return {}
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise ApiError(400, "The request content was malformed: it is not JSON.") from None
    if not isinstance(value, dict):
        raise ApiError(400, "The request content was malformed: Object expected")
    return value
