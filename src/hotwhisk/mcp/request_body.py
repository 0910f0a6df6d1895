"""Read the body of a request from a client that may stop sending, or send too much."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import Request

PART_SECONDS: Final = 30.0
"""How long a client may send nothing in the middle of a request."""


class TooLongError(Exception):
    """A body has more bytes than are allowed: ``size``, or more if its length was not stated."""

    def __init__(self, size: int) -> None:
        super().__init__(f"a body of {size} bytes")
        self.size = size


async def read_body(request: Request, most: int) -> bytes:
    """
    Return the body of a request.

    Raises:
        TimeoutError: nothing came for `PART_SECONDS`, as the text says.
        TooLongError: the body has more than ``most`` bytes.
        ClientDisconnect: the client has left.
    """
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise TooLongError(int(length))
    received, size, stream = list[bytes](), 0, request.stream()
    while True:
        try:
            async with asyncio.timeout(PART_SECONDS):
                part = await anext(stream, None)
        except TimeoutError:
            text = f"the rest of the request did not come within {PART_SECONDS:g} seconds"
            raise TimeoutError(text) from None
        if part is None:
            return b"".join(received)
        size += len(part)
        if size > most:
            raise TooLongError(size)
        received.append(part)
