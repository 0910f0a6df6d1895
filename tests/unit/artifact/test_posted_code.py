"""The code of an ``/init`` is read whole, or its sender is told what is wrong with it."""

from __future__ import annotations

import base64

import pytest

from hotwhisk.artifact import posted_code
from hotwhisk.artifact.posted_code import decode
from hotwhisk.errors import BodyTooLarge, RequestError
from hotwhisk.openwhisk.bodies import InitRequest


def request(code: str, *, binary: bool) -> InitRequest:
    return InitRequest("", "main", code, binary, {})


def test_decode() -> None:
    text = base64.b64encode(b"def main(): pass " * 9).decode()
    broken = "\r\n ".join(text[i : i + 7] for i in range(0, len(text), 7))
    assert decode(request(broken, binary=True)) == b"def main(): pass " * 9
    assert decode(request("x = 'é'", binary=False)) == "x = 'é'".encode()


@pytest.mark.parametrize("code", ["abc", "a*==", "é", "YWJj=YWJj"])
def test_bad_base64(code: str) -> None:
    with pytest.raises(RequestError, match="cannot decode the request"):
        decode(request(code, binary=True))


def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posted_code, "MOST_CODE", 10)
    with pytest.raises(BodyTooLarge, match="has 11 B; the limit is 10 B"):
        decode(request("x" * 11, binary=False))
