from __future__ import annotations

import base64
from typing import Any

import pytest

from hotwhisk.gateway.api.errors import ApiError
from hotwhisk.gateway.api.web_response import split_extension, web_response


def http(result: object) -> Any:
    return web_response(result, ".http")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a", ("a", ".http")),
        ("a.json", ("a", ".json")),
        ("a.b.text", ("a.b", ".text")),
        ("a.png", ("a.png", ".http")),
        ("a.json.svg", ("a.json", ".svg")),
    ],
)
def test_the_extension_is_split_off(name: str, expected: tuple[str, str]) -> None:
    assert split_extension(name) == expected


@pytest.mark.parametrize(
    ("result", "status", "body"),
    [
        ({}, 204, b""),
        ({"body": None}, 204, b""),
        ({"body": ""}, 204, b""),
        ({"body": "", "statusCode": 200}, 200, b""),
        ({"body": "x"}, 200, b"x"),
        ({"body": "\ud800"}, 200, b"?"),
        ({"body": 0}, 200, b"0"),
        ({"body": False}, 200, b"false"),
        ({"body": [1]}, 200, b"[1]"),
        ({"body": {"a": "é"}, "statusCode": "201"}, 201, '{"a":"é"}'.encode()),
        ({"body": "x", "statusCode": 201.0}, 201, b"x"),
        ({"body": "x", "statusCode": 204}, 204, b""),
        ({"body": "x", "statusCode": 304}, 304, b""),
    ],
)
def test_status_and_body(result: object, status: int, body: bytes) -> None:
    response = http(result)
    assert (response.status_code, response.body) == (status, body)


def test_headers() -> None:
    headers = {"A": ["1", 2, [True]], "Content-Length": "99", "Transfer-Encoding": "x", "B": "é"}
    response = http({"headers": headers, "body": "x"})
    found = [(name, value) for name, value in response.raw_headers if len(name) == 1]
    assert found == [(b"a", b"1"), (b"a", b"2"), (b"a", b"true"), (b"b", "é".encode())]
    assert response.headers["content-length"] == "1"
    assert "transfer-encoding" not in response.headers


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("text/css", "a", (b"a", "text/css; charset=UTF-8")),
        ("text/css; charset=latin-1", "a", (b"a", "text/css; charset=latin-1")),
        ("image/png", "AP8=", (b"\x00\xff", "image/png")),
        ("image/svg+xml", "<svg/>", (b"<svg/>", "image/svg+xml")),
        ("image/svg+xml", "PHN2Zy8+", (b"<svg/>", "image/svg+xml")),
        ("application/json", '{"a":1}', (b'{"a":1}', "application/json")),
        ("application/json", base64.b64encode(b"[]").decode(), (b"[]", "application/json")),
    ],
)
def test_the_content_type_says_how_the_body_is_read(
    content_type: str, body: str, expected: tuple[bytes, str]
) -> None:
    response = http({"headers": {"Content-Type": content_type}, "body": body})
    assert (response.body, response.headers["content-type"]) == expected


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ("x", "Response is not valid 'message/http'."),
        ([], "Response is not valid 'message/http'."),
        ({"statusCode": 99}, "Response is not valid 'message/http'."),
        ({"statusCode": "2" * 5000}, "Response is not valid 'message/http'."),
        ({"statusCode": "-1"}, "Response is not valid 'message/http'."),
        ({"headers": []}, "Response is not valid 'message/http'."),
        ({"headers": {"a": None}}, "Response is not valid 'message/http'."),
        ({"headers": {"a": "x\ny"}}, "Response is not valid 'message/http'."),
        ({"headers": {"a b": "x"}}, "Response is not valid 'message/http'."),
        ({"headers": {"content-type": "x"}, "body": "y"}, "Response did not specify a known"),
        (
            {"headers": {"content-type": "image/png"}, "body": "%"},
            "Response type in header did not",
        ),
        ({"headers": {"content-type": "text/html"}, "body": {}}, "Response type in header did not"),
    ],
)
def test_what_is_no_response(result: object, text: str) -> None:
    with pytest.raises(ApiError) as raised:
        http(result)
    assert raised.value.status == 400
    assert raised.value.text.startswith(text)


@pytest.mark.parametrize(
    ("extension", "result", "body"),
    [
        (".json", {"a": 1}, b'{"a":1}'),
        (".json", [1], b"[1]"),
        (".html", "x", b"x"),
        (".html", {"html": "x"}, b"x"),
        (".html", {"html": "x", "body": "y"}, b"y"),
        (".svg", {"svg": "<svg/>"}, b"<svg/>"),
        (".text", {"text": [1]}, b"[\n  1\n]"),
        (".text", {"body": None}, b"null"),
        (".text", True, b"true"),
    ],
)
def test_the_other_extensions(extension: str, result: object, body: bytes) -> None:
    assert web_response(result, extension).body == body


@pytest.mark.parametrize(
    ("extension", "result", "status"),
    [(".json", "x", 400), (".html", {"a": 1}, 400), (".svg", 3, 400), (".text", {"a": 1}, 404)],
)
def test_what_an_extension_refuses(extension: str, result: object, status: int) -> None:
    with pytest.raises(ApiError) as raised:
        web_response(result, extension)
    assert raised.value.status == status


@pytest.mark.parametrize(
    "kind",
    ["text/html", "image/svg+xml", "application/xml", "text/xml", "text/xsl", "text/unknown"],
)
def test_a_document_gets_an_origin_of_its_own(kind: str) -> None:
    response = http({"headers": {"Content-Type": kind}, "body": "<a/>"})
    assert response.headers["content-security-policy"].startswith("sandbox ")
    assert "allow-same-origin" not in response.headers["content-security-policy"]


def test_a_document_may_say_otherwise() -> None:
    policy = "default-src 'self'"
    response = http({"headers": {"content-security-Policy": policy}, "body": "<p>"})
    assert response.headers.getlist("content-security-policy") == [policy]


def test_what_is_no_document_needs_no_policy() -> None:
    for kind in ("text/plain", "application/json"):
        response = http({"headers": {"Content-Type": kind}, "body": "x"})
        assert "content-security-policy" not in response.headers
    assert "content-security-policy" in web_response("<p>", ".html").headers
    assert "content-security-policy" in web_response("<svg/>", ".svg").headers


def test_an_empty_policy_is_none() -> None:
    response = http({"headers": {"content-security-policy": ""}, "body": "<p>"})
    (policy,) = response.headers.getlist("content-security-policy")
    assert policy.startswith("sandbox ")


def test_no_browser_guesses_a_type() -> None:
    assert http({"body": "<p>"}).headers["x-content-type-options"] == "nosniff"


def test_a_content_type_that_no_header_can_hold() -> None:
    with pytest.raises(ApiError) as raised:
        http({"headers": {"content-type": "text/html; charset=\u20ac"}, "body": "x"})
    assert raised.value.status == 400
