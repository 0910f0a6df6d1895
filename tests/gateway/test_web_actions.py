"""Web actions, called by curl as a browser or a program without a key calls them."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.support.curl import Page, curl
from tests.support.gateway import GatewayProcess

pytestmark = pytest.mark.slow

ECHO = "def main(args):\n    return {'body': args}\n"
GIVEN = "def main(args):\n    import json\n    return json.loads(args['result'])\n"
WEB = {"key": "web-export", "value": True}
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="module")
def web(shared_gateway: GatewayProcess) -> GatewayProcess:
    for name, code, *given in (
        ("echo", ECHO, WEB),
        ("given", GIVEN, WEB),
        ("raw", ECHO, WEB, {"key": "raw-http", "value": True}),
        ("private", ECHO),
        ("keyed", ECHO, WEB, {"key": "require-whisk-auth", "value": True}),
        ("secret", ECHO, WEB, {"key": "require-whisk-auth", "value": "sesame"}),
        ("number", ECHO, WEB, {"key": "require-whisk-auth", "value": 1234}),
        ("options", ECHO, WEB, {"key": "web-custom-options", "value": True}),
    ):
        shared_gateway.create(name, code, annotations=list(given))
    final = [WEB, {"key": "final", "value": True}]
    parameters = [{"key": "fixed", "value": 1}, {"key": "open", "value": None}]
    shared_gateway.create("final", ECHO, annotations=final, parameters=parameters)
    return shared_gateway


def call(gateway: GatewayProcess, path: str, *words: str) -> Page:
    """Call a web action of the namespace guest."""
    return curl(f"{gateway.url}/api/v1/web/guest/{path}", *words)


def answer(gateway: GatewayProcess, result: object, extension: str = "") -> Page:
    """Call a web action that returns a certain result."""
    text = json.dumps({"result": json.dumps(result)})
    json_type = "Content-Type: application/json"
    return call(gateway, f"default/given{extension}", "-H", json_type, "-d", text)


def test_query_and_body_become_parameters(web: GatewayProcess) -> None:
    page = call(web, "default/echo?a=1&b=2&c=%20x")
    assert page.json["a"] == "1"
    assert page.json["c"] == " x"
    assert page.json["__ow_method"] == "get"
    assert page.json["__ow_path"] == ""
    assert "__ow_user" not in page.json
    page = call(web, "default/echo?a=1", "-d", "a=2&b=3")
    assert (page.json["a"], page.json["b"]) == ("2", "3")
    page = call(web, "default/echo?a=1", "-H", "Content-Type: application/json", "-d", '{"a": [2]}')
    assert page.json["a"] == [2]
    assert page.json["__ow_method"] == "post"


def test_headers_and_path(web: GatewayProcess) -> None:
    page = call(web, "default/echo.http/one/tw%20o?x=1", "-H", "X-Mine: Word")
    assert page.json["__ow_headers"]["x-mine"] == "Word"
    assert page.json["__ow_headers"]["user-agent"].startswith("curl/")
    assert page.json["__ow_path"] == "/one/tw%20o"
    assert page.header("x-openwhisk-activation-id")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "POST"])
def test_every_method_reaches_the_action(web: GatewayProcess, method: str) -> None:
    assert call(web, "default/echo", "-X", method).json["__ow_method"] == method.lower()


def test_other_bodies_come_in_one_parameter(web: GatewayProcess) -> None:
    text = call(web, "default/echo", "-H", "Content-Type: text/plain", "-d", "hey ❄")
    assert text.json["__ow_body"] == "hey ❄"
    array = call(web, "default/echo", "-H", "Content-Type: application/json", "-d", "[1, 2]")
    assert array.json["__ow_body"] == [1, 2]
    broken = call(web, "default/echo", "-H", "Content-Type: application/json", "-d", "{")
    assert broken.status == 400
    assert broken.json["error"].startswith("The request content was malformed")


def test_a_raw_action_gets_the_request_as_it_came(web: GatewayProcess, tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(PNG)
    page = call(
        web, "default/raw?a=1&a=2", "-H", "Content-Type: image/png",
        "--data-binary", f"@{tmp_path}/picture",
    )  # fmt: skip
    assert page.json["__ow_query"] == "a=1&a=2"
    assert base64.b64decode(page.json["__ow_body"]) == PNG
    assert "a" not in page.json
    page = call(web, "default/raw", "-H", "Content-Type: application/json", "-d", '{"a": 1}')
    assert base64.b64decode(page.json["__ow_body"]) == b'{"a": 1}'
    assert call(web, "default/raw", "-d", "a=1").json["__ow_body"] == "a=1"
    assert call(web, "default/raw").json["__ow_body"] == ""


def test_reserved_and_final_parameters_are_refused(web: GatewayProcess) -> None:
    for path in ("echo?__ow_method=x", "echo?__ow_user=x", "final?fixed=2"):
        page = call(web, f"default/{path}")
        assert page.status == 400
        assert "parameters that are not allowed" in page.json["error"]
    page = call(web, "default/echo", "-d", "__ow_body=1")
    assert page.status == 400
    page = call(web, "default/final?open=2&other=3")
    assert (page.json["fixed"], page.json["open"], page.json["other"]) == (1, "2", "3")
    assert call(web, "default/raw?__ow_path=x").status == 200


def test_status_headers_and_body(web: GatewayProcess) -> None:
    headers = {"X-Text": "a", "X-Number": 1, "X-Truth": True, "Set-Cookie": ["a=1", "b=2"]}
    page = answer(web, {"statusCode": 201, "headers": headers, "body": "<p>❄</p>"})
    assert page.status == 201
    assert page.header("content-type") == "text/html; charset=UTF-8"
    assert page.body.decode() == "<p>❄</p>"
    assert (page.header("x-text"), page.header("x-number")) == ("a", "1")
    assert page.header("x-truth") == "true"
    assert [value for key, value in page.headers if key == "set-cookie"] == ["a=1", "b=2"]
    assert answer(web, {"statusCode": "404", "body": "gone"}).status == 404
    redirect = answer(web, {"statusCode": 302, "headers": {"Location": "/there"}})
    assert (redirect.status, redirect.header("location")) == (302, "/there")
    assert redirect.body == b""


def test_an_empty_body_is_204(web: GatewayProcess) -> None:
    assert answer(web, {}).status == 204
    assert answer(web, {"body": ""}).status == 204
    assert answer(web, {"body": "", "statusCode": 200}).status == 200


def test_bodies_that_are_json(web: GatewayProcess) -> None:
    page = answer(web, {"body": {"a": [1, "❄"]}})
    assert page.header("content-type") == "application/json"
    assert page.json == {"a": [1, "❄"]}
    problem = {"Content-Type": "application/problem+json"}
    page = answer(web, {"headers": problem, "body": {"a": 1}})
    assert page.header("content-type") == "application/problem+json"
    page = answer(web, {"headers": {"content-type": "text/html"}, "body": {"a": 1}})
    assert page.status == 400
    assert page.json["error"] == "Response type in header did not match generated content type."


def test_a_binary_body_is_decoded(web: GatewayProcess) -> None:
    body = base64.b64encode(PNG).decode()
    page = answer(web, {"headers": {"Content-Type": "image/png"}, "body": body})
    assert page.header("content-type") == "image/png"
    assert page.body == PNG
    assert answer(web, {"headers": {"Content-Type": "image/png"}, "body": "<!>"}).status == 400
    svg = {"Content-Type": "image/svg+xml"}
    assert answer(web, {"headers": svg, "body": "<svg/>"}).body == b"<svg/>"
    page = answer(web, {"headers": {"Content-Type": "nonsense"}, "body": "x"})
    assert page.json["error"] == "Response did not specify a known content-type."


@pytest.mark.parametrize(
    "result",
    [
        {"statusCode": 1000},
        {"statusCode": "x"},
        {"statusCode": 200.5},
        {"statusCode": True},
        {"headers": "x"},
        {"headers": {"a": {"b": 1}}},
        {"headers": {"a": "b\r\nInjected: yes"}, "body": "x"},
        {"headers": {"bad name": "b"}, "body": "x"},
        [1],
    ],
)
def test_what_is_no_response_is_refused(web: GatewayProcess, result: object) -> None:
    page = answer(web, result)
    assert page.status == 400
    assert page.json["error"] == "Response is not valid 'message/http'."
    assert page.header("injected") is None


def test_extensions(web: GatewayProcess) -> None:
    assert answer(web, {"a": 1}, ".json").json == {"a": 1}
    assert answer(web, {"statusCode": 500, "body": "x"}, ".json").status == 200
    html = answer(web, {"html": "<b>x</b>"}, ".html")
    assert (html.body, html.header("content-type")) == (b"<b>x</b>", "text/html; charset=utf-8")
    assert answer(web, {"body": "<b>y</b>"}, ".html").body == b"<b>y</b>"
    svg = answer(web, {"svg": "<svg/>"}, ".svg")
    assert (svg.body, svg.header("content-type")) == (b"<svg/>", "image/svg+xml")
    text = answer(web, {"text": "plain"}, ".text")
    assert (text.body, text.header("content-type")) == (b"plain", "text/plain; charset=utf-8")
    assert answer(web, {"text": 5}, ".text").body == b"5"
    assert answer(web, {"other": 5}, ".text").status == 404
    assert answer(web, {"other": 5}, ".html").json["error"] == "Response is not valid 'text/html'."
    assert answer(web, {"body": "x"}, ".http").body == b"x"


def test_errors(web: GatewayProcess) -> None:
    error = answer(web, {"error": {"statusCode": 418, "body": "teapot"}})
    assert (error.status, error.body) == (418, b"teapot")
    assert answer(web, {"error": "sorry"}).status == 400
    assert answer(web, {"error": "sorry"}, ".text").body == b"sorry"
    web.create("dies", "import os\ndef main(args):\n    os._exit(3)\n", annotations=[WEB])
    page = call(web, "default/dies")
    assert page.status == 400
    assert page.json["error"] == "There was an error processing your request."


def test_only_web_actions_are_reached(web: GatewayProcess) -> None:
    for path in ("default/private", "default/none", "none/echo"):
        page = call(web, path)
        assert page.status == 404
        assert page.json["error"] == "The requested resource does not exist."
    page = curl(f"{web.url}/api/v1/web/other/default/echo")
    assert page.json["error"] == "The requested resource does not exist."


def test_a_web_action_in_a_package(web: GatewayProcess) -> None:
    parameters = [{"key": "of", "value": "package"}]
    assert web.api("PUT", "packages/site", {"parameters": parameters}).status == 200
    web.create("site/echo", ECHO, annotations=[WEB])
    assert call(web, "site/echo").json["of"] == "package"


def test_a_key_or_a_secret_may_be_needed(web: GatewayProcess) -> None:
    assert call(web, "default/keyed").status == 401
    page = call(web, "default/keyed", "-u", web.auth)
    assert page.json["__ow_user"] == "guest"
    assert call(web, "default/keyed", "-u", f"{web.auth}x").status == 401
    assert call(web, "default/secret").status == 401
    assert call(web, "default/secret", "-H", "X-Require-Whisk-Auth: wrong").status == 401
    assert call(web, "default/secret", "-H", "X-Require-Whisk-Auth: sesame").status == 200
    assert call(web, "default/number", "-H", "X-Require-Whisk-Auth: 1234").status == 200


def test_pages_of_other_origins_may_call(web: GatewayProcess) -> None:
    asked = "Access-Control-Request-Headers: X-Mine"
    page = call(web, "default/echo", "-X", "OPTIONS", "-H", "Origin: http://x.org", "-H", asked)
    assert (page.status, page.body) == (200, b"")
    assert page.header("access-control-allow-origin") == "*"
    assert page.header("access-control-allow-methods") == (
        "OPTIONS, GET, DELETE, POST, PUT, HEAD, PATCH"
    )
    assert page.header("access-control-allow-headers") == "X-Mine"
    assert call(web, "default/echo").header("access-control-allow-origin") == "*"
    page = call(web, "default/options", "-X", "OPTIONS")
    assert page.json["__ow_method"] == "options"
    assert page.header("access-control-allow-origin") is None


def test_head_has_no_body(web: GatewayProcess) -> None:
    page = call(web, "default/echo", "-I")
    assert (page.status, page.body) == (200, b"")


def test_a_body_over_a_megabyte_is_refused(web: GatewayProcess, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * ((1 << 20) + 1))
    page = call(web, "default/echo", "--data-binary", f"@{tmp_path}/large")
    assert page.status == 413
    assert page.json["error"] == "Request larger than allowed: 1048577 > 1048576 bytes."
