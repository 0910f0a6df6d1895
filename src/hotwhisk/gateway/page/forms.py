"""Read what a form of the page sends."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from hotwhisk.gateway.api.errors import too_late
from hotwhisk.gateway.page.rendering import PageError
from hotwhisk.mcp.request_body import TooLongError, read_body

MOST_BYTES: Final = 4 << 20
"""Most bytes of a form: an event of 1 MB, percent-encoded where it must be."""


async def form(request: Request) -> dict[str, str]:
    """
    Return the fields of a form.

    Raises:
        PageError: it is too long.
        ApiError: the rest of it did not come.
    """
    try:
        content = await read_body(request, MOST_BYTES)
    except TooLongError:
        raise PageError(413, f"The form is longer than {MOST_BYTES >> 20} MB.") from None
    except TimeoutError as error:
        raise too_late(str(error)) from None
    return dict(parse_qsl(content.decode("utf-8", "replace"), keep_blank_values=True))


def number(request: Request, key: str, default: int) -> int:
    """Return a whole number of the query, or the default if it is missing or not one."""
    text = request.query_params.get(key, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default
