from __future__ import annotations

import base64
from typing import Any

import pytest

from hotwhisk.gateway.api.errors import ApiError
from hotwhisk.gateway.api.web_request import WebRequest


def request(query: str = "", body: bytes = b"", content_type: str = "", **given: Any) -> WebRequest:
    headers = {"content-type": content_type} if content_type else {}
    return WebRequest("POST", "/a%20b", query, headers, body, **given)


def test_what_every_action_gets() -> None:
    argument = request(user="guest").argument(raw=False)
    assert argument == {
        "__ow_method": "post",
        "__ow_headers": {},
        "__ow_path": "/a%20b",
        "__ow_user": "guest",
    }


def test_the_body_is_over_the_query() -> None:
    found = request("a=1&b=2&b=3&c=", b'{"a": [0]}', "application/json").parameters()
    assert found == {"a": [0], "b": "3", "c": ""}
    found = request("a=1", b"a=2&d=%C3%A9", "application/x-www-form-urlencoded").parameters()
    assert found == {"a": "2", "d": "é"}


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"[1]", "application/json", [1]),
        (b"3", "application/a+json", 3),
        (b"hey", "text/plain; charset=utf-8", "hey"),
        (b"\xff", "text/plain", "\ufffd"),
        (b"\x00\xff", "image/png", "AP8="),
        (b"hey", "", base64.b64encode(b"hey").decode()),
        (b"hey", "nonsense", base64.b64encode(b"hey").decode()),
    ],
)
def test_a_body_of_another_sort(body: bytes, content_type: str, expected: object) -> None:
    assert request(body=body, content_type=content_type).parameters() == {"__ow_body": expected}


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"", "", ""),
        (b'{"a": 1}', "application/json", base64.b64encode(b'{"a": 1}').decode()),
        (b"a=1", "application/x-www-form-urlencoded", "a=1"),
        (b"{", "application/a+json", "{"),
    ],
)
def test_a_raw_action_gets_query_and_body_as_they_came(
    body: bytes, content_type: str, expected: str
) -> None:
    argument = request("a=1&a=2", body, content_type).argument(raw=True)
    assert argument["__ow_query"] == "a=1&a=2"
    assert argument["__ow_body"] == expected
    assert "a" not in argument


def test_a_body_that_is_not_what_its_type_says() -> None:
    with pytest.raises(ApiError) as raised:
        request(body=b"{", content_type="application/json").parameters()
    assert raised.value.status == 400


@pytest.mark.parametrize(
    ("query", "body", "overrides"),
    [
        ("a=1", b"", False),
        ("fixed=1", b"", True),
        ("__ow_user=root", b"", True),
        ("", b'{"fixed": 1}', True),
        ("", b'{"__ow_headers": {}}', True),
        ("", b'["fixed"]', False),
    ],
)
def test_a_request_must_not_set_final_or_reserved_parameters(
    query: str, body: bytes, *, overrides: bool
) -> None:
    found = request(query, body, "application/json").overrides(frozenset({"fixed"}))
    assert found is overrides
