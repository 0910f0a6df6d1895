"""Read the path, the query and the body of a request, and refuse what the platform refuses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Self

from starlette.requests import Request

from hotwhisk.gateway.api.errors import (
    ILLEGAL_NAME,
    ApiError,
    malformed,
    malformed_query,
    too_large,
    too_late,
)
from hotwhisk.gateway.names import is_name
from hotwhisk.mcp.request_body import TooLongError, read_body
from hotwhisk.mcp.strict_json import json_value

MOST_LISTED: Final = 200
DEFAULT_LISTED: Final = 30
MOST_PAYLOAD: Final = 1 << 20
"""Bytes of the argument of a call, of parameters and of annotations. Source: docs/reference.md."""
MOST_ENTITY: Final = 128 << 20
"""Bytes of a request that stores an entity: 48 MB of code, escaped for JSON, and the rest."""
_LONGEST_NAME: Final = 256
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}")


def name(text: str) -> str:
    """
    Return the name of an entity from a path.

    Raises:
        ApiError: 400, it is too long or has a character that is not allowed.
    """
    if len(text) > _LONGEST_NAME:
        # The platform's text has this misspelling.
        raise ApiError(400, f"Name segement longer than allowed: {len(text)} > {_LONGEST_NAME}.")
    if not is_name(text):
        raise ApiError(400, ILLEGAL_NAME)
    return text


def flag(request: Request, key: str, *, default: bool = False) -> bool:
    """Return a query parameter that is true or false."""
    text = request.query_params.get(key, str(default)).lower()
    if text in ("true", "yes", "on", "1"):
        return True
    if text in ("false", "no", "off", "0"):
        return False
    raise malformed_query(key, f"'{text}' is not a valid Boolean value")


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is wanted; with ``count`` only how long it is."""

    limit: int
    skip: int
    count: bool

    @classmethod
    def of(cls, request: Request, collection: str) -> Self:
        """Read ``limit``, ``skip`` and ``count`` of the query."""
        limit = _listed(request, "limit", DEFAULT_LISTED, collection)
        skip = _listed(request, "skip", 0, collection)
        if not 0 <= limit <= MOST_LISTED:
            reason = (
                f"The value '{limit}' is not in the range of 0 to {MOST_LISTED} for {collection}."
            )
            raise malformed_query("limit", reason)
        if skip < 0:
            reason = f"The value '{skip}' is not greater than or equal to 0 for {collection}."
            raise malformed_query("skip", reason)
        return cls(limit or MOST_LISTED, skip, flag(request, "count"))

    def of_all(self, found: list[dict[str, Any]], collection: str) -> object:
        """Return the part of a list, or its length."""
        if self.count:
            return {collection: max(0, len(found) - self.skip)}
        return found[self.skip :][: self.limit]


def _listed(request: Request, key: str, default: int, collection: str) -> int:
    text = request.query_params.get(key)
    if text is None:
        return default
    number = _integer(text, bits=32)
    if number is None:
        reason = f"The value '{text}' is not an integer for {collection}."
        raise malformed_query(key, reason)
    return number


def moment(request: Request, key: str) -> int | None:
    """Return a query parameter that is a time in milliseconds since the epoch, or None."""
    text = request.query_params.get(key)
    if text is None:
        return None
    number = _integer(text, bits=64)
    if number is None:
        reason = f"Parameter is not a valid value for epoch seconds: {text}"
        raise malformed_query(key, reason)
    return number


def _integer(text: str, *, bits: int) -> int | None:
    """Return a whole number, or None if it does not fit into so many bits, as on the platform."""
    if not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if -(1 << bits - 1) <= number < 1 << bits - 1 else None


async def body(request: Request, most: int) -> bytes:
    """
    Return the body.

    Raises:
        ApiError: 413, it has more bytes than ``most``; 408, its rest does not come.
    """
    try:
        return await read_body(request, most)
    except TooLongError as error:
        raise too_large("Request", error.size, most) from None
    except TimeoutError as error:
        raise too_late(str(error)) from None


def json_body(content: bytes, content_type: str) -> dict[str, Any]:
    """
    Return a body that is a JSON object; an empty one is an empty object.

    Raises:
        ApiError: 415, it is of another type; 400, it is no JSON object.
    """
    if not content:
        return {}
    require_json(content_type)
    value = any_json(content)
    if not isinstance(value, dict):
        raise malformed("Object expected")
    return value


def require_json(content_type: str) -> None:
    """
    Refuse a body of another type than JSON.

    Raises:
        ApiError: 415.
    """
    if content_type.partition(";")[0].strip().lower() != "application/json":
        text = "The request's Content-Type is not supported. Expected:\napplication/json"
        raise ApiError(415, text)


def any_json(content: bytes) -> Any:
    """Return the value of a JSON text that was sent."""
    try:
        return json_value(content)
    except (ValueError, RecursionError) as error:
        raise malformed(f"it is not JSON: {error}") from None
