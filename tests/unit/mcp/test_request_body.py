"""Reading the body of a request: in parts, too large, too late."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from hotwhisk.mcp import request_body
from hotwhisk.mcp.request_body import TooLongError, read_body


def read(*parts: bytes, length: str = "", most: int = 10, leaves: bool = False) -> bytes:
    """Read a body that comes in these parts; more is announced, and never comes."""
    messages: list[Message] = [
        {"type": "http.request", "body": each, "more_body": bool(each)} for each in parts
    ]
    messages += [{"type": "http.disconnect"}] if leaves else []

    async def receive() -> Message:
        return messages.pop(0) if messages else await asyncio.Future()

    headers = [(b"content-length", length.encode())] if length else []
    return asyncio.run(read_body(Request({"type": "http", "headers": headers}, receive), most))


def test_a_body_is_read_to_its_end() -> None:
    assert read(b"ab", b"cd", b"") == b"abcd"


@pytest.mark.parametrize(("parts", "length", "size"), [((b"123456",) * 2, "", 12), ((), "11", 11)])
def test_a_body_that_is_too_long_is_refused(
    parts: tuple[bytes, ...], length: str, size: int
) -> None:
    with pytest.raises(TooLongError) as found:
        read(*parts, length=length)
    assert found.value.size == size


def test_a_body_whose_rest_does_not_come_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "PART_SECONDS", 0.01)
    with pytest.raises(TimeoutError, match=r"did not come within 0\.01 seconds"):
        read(b"half")


def test_a_client_that_leaves_is_told_apart() -> None:
    with pytest.raises(ClientDisconnect):
        read(b"half", leaves=True)
