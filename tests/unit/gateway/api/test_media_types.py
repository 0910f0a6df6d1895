from __future__ import annotations

import pytest

from hotwhisk.gateway.api.media_types import is_binary, is_json, media_type


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("text/html", "text/html"),
        ("Text/HTML; charset=UTF-8", "text/html"),
        (" application/vnd.a+json ;a=b", "application/vnd.a+json"),
        ("nonsense", None),
        ("", None),
        ("a/b c", None),
        ("/", None),
    ],
)
def test_the_type_is_read_without_its_parameters(content_type: str, expected: str | None) -> None:
    assert media_type(content_type) == expected


@pytest.mark.parametrize("kind", ["application/json", "application/problem+json"])
def test_json(kind: str) -> None:
    assert is_json(kind)
    assert not is_binary(kind)


@pytest.mark.parametrize(
    ("kind", "binary"),
    [
        ("text/css", False),
        ("application/javascript", False),
        ("application/xml", False),
        ("application/atom+xml", False),
        ("application/x-www-form-urlencoded", False),
        ("application/octet-stream", True),
        ("application/pdf", True),
        ("image/png", True),
        ("image/svg+xml", True),
        ("multipart/form-data", True),
    ],
)
def test_what_is_carried_in_base64(kind: str, *, binary: bool) -> None:
    assert is_binary(kind) is binary
