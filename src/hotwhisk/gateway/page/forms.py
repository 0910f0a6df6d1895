"""Read what a form of the page sends."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from hotwhisk.gateway.api.reading import parts
from hotwhisk.gateway.page.rendering import PageError

MOST_BYTES: Final = 4 << 20
"""Most bytes of a form: an event of 1 MB, percent-encoded where it must be."""


async def form(request: Request) -> dict[str, str]:
    """
    Return the fields of a form.

    Raises:
        PageError: it is too long.
        ApiError: the rest of it did not come.
    """
    content = bytearray()
    async for chunk in parts(request):
        content += chunk
        if len(content) > MOST_BYTES:
            raise PageError(413, f"The form is longer than {MOST_BYTES >> 20} MB.")
    return dict(parse_qsl(content.decode("utf-8", "replace"), keep_blank_values=True))


def number(request: Request, key: str, default: int) -> int:
    """Return a whole number of the query, or the default if it is missing or not one."""
    text = request.query_params.get(key, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default
