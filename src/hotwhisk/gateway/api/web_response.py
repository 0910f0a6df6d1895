"""
Make an HTTP response from the result of a web action.

The extension of the name in the path says how the result is read; without one it is
``{"statusCode": …, "headers": …, "body": …}``. Source: docs/webactions.md and ``WebActions.scala``
of apache/openwhisk.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from typing import Final

from starlette.responses import Response

from hotwhisk.gateway.api.errors import ApiError
from hotwhisk.gateway.api.media_types import is_binary, is_json, media_type
from hotwhisk.platform import is_base64

NO_PROPERTY: Final = "Response does not include requested property."
UNKNOWN_TYPE: Final = "Response did not specify a known content-type."
WRONG_TYPE: Final = "Response type in header did not match generated content type."
_TOKEN: Final = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_OURS: Final = ("content-type", "content-length", "transfer-encoding", "connection")
"""Headers of the result that are not passed on as they are."""
_NO_DOCUMENTS: Final = {
    "text/plain", "text/css", "text/csv", "text/javascript", "application/javascript",
    "application/octet-stream", "application/zip",
}  # fmt: skip
"""Types that no browser takes for a document with scripts; nor does it JSON, or most images."""
_OWN_ORIGIN: Final = "sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts"
_WITHOUT_BODY: Final = (204, 304)

Headers = list[tuple[str, str]]


def split_extension(name: str) -> tuple[str, str]:
    """Return the name of the action and the extension, which is ``.http`` if there is none."""
    for extension in _READERS:
        if name.endswith(extension):
            return name.removesuffix(extension), extension
    return name, ".http"


def web_response(result: object, extension: str) -> Response:
    """
    Return the response for the result of a web action.

    What may be a document gets an origin of its own, unless its headers say otherwise. Else a
    script in it could use the gateway's page, which has the same host, with the session of the
    browser's user. No browser guesses another type than the answer has.

    Raises:
        ApiError: 400 or 404, the result is not what the extension demands.
    """
    response = _READERS[extension](result)
    kind = media_type(response.headers.get("content-type", "")) or ""
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    if _may_be_document(kind) and not response.headers.get("Content-Security-Policy"):
        response.headers["Content-Security-Policy"] = _OWN_ORIGIN
    return response


def _may_be_document(kind: str) -> bool:
    if kind in _NO_DOCUMENTS or is_json(kind):
        return False
    return not kind.startswith(("image/", "audio/", "video/", "font/")) or kind.endswith("xml")


def _as_http(result: object) -> Response:
    if not isinstance(result, dict):
        raise _invalid("message/http")
    headers = _headers(result.get("headers"))
    status = _status(result.get("statusCode"))
    body = result.get("body")
    if body is None or body == "":
        return _response(b"", status or 204, headers, None)
    if isinstance(body, str):
        content, kind = _text_body(body, headers)
    else:
        content, kind = _json_body(body, headers)
    return _response(content, status or 200, headers, kind)


def _as_json(result: object) -> Response:
    if not isinstance(result, dict | list):
        raise _invalid("application/json")
    return Response(_dump(result), media_type="application/json")


def _as_html(result: object) -> Response:
    return Response(_property(result, "html", "text/html"), media_type="text/html")


def _as_svg(result: object) -> Response:
    return Response(_property(result, "svg", "image/svg+xml"), media_type="image/svg+xml")


def _as_text(result: object) -> Response:
    if isinstance(result, dict):
        if "body" not in result and "text" not in result:
            raise ApiError(404, NO_PROPERTY)
        result = result["body"] if "body" in result else result["text"]
    content = (
        result if isinstance(result, str) else json.dumps(result, indent=2, ensure_ascii=False)
    )
    return Response(_encode(content), media_type="text/plain")


_READERS: Final[Mapping[str, Callable[[object], Response]]] = {
    ".http": _as_http,
    ".json": _as_json,
    ".html": _as_html,
    ".svg": _as_svg,
    ".text": _as_text,
}


def _property(result: object, name: str, kind: str) -> bytes:
    value = result.get("body", result.get(name)) if isinstance(result, dict) else result
    if not isinstance(value, str):
        raise _invalid(kind)
    return _encode(value)


def _status(value: object) -> int | None:
    """Return the status of a result: a whole number, or a text that is one."""
    if value is None:
        return None
    if isinstance(value, str) and re.fullmatch("[0-9]{3}", value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 200 <= value <= 599:
        raise _invalid("message/http")
    return value


def _headers(given: object) -> Headers:
    """Return the headers of a result; an array stands for several of the same name."""
    if given is None:
        return []
    if not isinstance(given, dict):
        raise _invalid("message/http")
    return [(name, text) for name, value in given.items() for text in _values(name, value)]


def _values(name: str, value: object) -> list[str]:
    if isinstance(value, list):
        return [text for each in value for text in _values(name, each)]
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, str | int | float):
        text = str(value)
    else:
        raise _invalid("message/http")
    if not _TOKEN.fullmatch(name) or _CONTROL.search(text):
        raise _invalid("message/http")
    return [text]


def _content_type(headers: Headers) -> str | None:
    return next((value for name, value in headers if name.lower() == "content-type"), None)


def _text_body(body: str, headers: Headers) -> tuple[bytes, str]:
    """Return the bytes of a body that is a string, and their type; HTML is the default."""
    given = _content_type(headers) or "text/html"
    kind = media_type(given)
    if kind is None:
        raise ApiError(400, UNKNOWN_TYPE)
    if is_binary(kind):
        # SVG is binary to the platform, but an SVG that is a text cannot be meant as base64.
        if kind.endswith("+xml") and not is_base64(body):
            return _encode(body), given
        try:
            return base64.b64decode(body, validate=True), given
        except (binascii.Error, ValueError):
            raise ApiError(400, WRONG_TYPE) from None
    if is_json(kind) and is_base64(body):  # as the platform does for older web actions
        return base64.b64decode(body.strip()), given
    return _encode(body), _with_charset(given, kind)


def _json_body(body: object, headers: Headers) -> tuple[bytes, str]:
    """Return the bytes of a body that is a JSON value, and their type."""
    given = _content_type(headers) or "application/json"
    kind = media_type(given)
    if kind is None or not is_json(kind):
        raise ApiError(400, WRONG_TYPE)
    return _dump(body), given


def _with_charset(given: str, kind: str) -> str:
    return given if "charset" in given.lower() or is_json(kind) else f"{given}; charset=UTF-8"


def _response(content: bytes, status: int, headers: Headers, kind: str | None) -> Response:
    response = Response(b"" if status in _WITHOUT_BODY else content, status)
    if kind is not None:
        if not kind.isascii():
            raise _invalid("message/http")
        response.headers["content-type"] = kind
    response.raw_headers.extend(
        (name.lower().encode(), value.encode("utf-8", "replace"))
        for name, value in headers
        if name.lower() not in _OURS
    )
    return response


def _invalid(kind: str) -> ApiError:
    return ApiError(400, f"Response is not valid '{kind}'.")


def _dump(value: object) -> bytes:
    return _encode(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "replace")
