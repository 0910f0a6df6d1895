"""Requests that make no sense get a refusal, never an error of the server, and change nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.gateway import GatewayProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

VALUES: tuple[object, ...] = (
    None, True, 0, -1, 1.5, 10**30, "", "x", "\ud800", "a" * 300, "/", "//", "/_/", "../..", [], [1],
    [[]], {}, {"a": 1}, {"key": "x"}, [{"key": "x"}], [{"key": None, "value": 1}], {"namespace": 5},
    {"namespace": "guest", "name": "none"}, {"path": "guest", "name": "x"}, [None], ["\ud800"],
)  # fmt: skip
FIELDS = (
    "exec", "parameters", "annotations", "limits", "publish", "version", "binding", "trigger",
    "action", "status", "delAnnotations",
)  # fmt: skip
EXEC_FIELDS = ("kind", "code", "main", "image", "components", "binary")
BODIES = (b"", b"\xff", b"{", b"[", b"nul", b"NaN", b'{"a":NaN}', b"[" * 100_000, b'"\\ud800"')
PATHS = (
    "actions/h", "actions/p/h", "packages/h", "triggers/h", "rules/h", "actions/\x7f",
    "actions/%00", "actions/%ff", "actions/..", "activations/x", "limits/x",
)  # fmt: skip


def bodies() -> Iterator[bytes]:
    yield from BODIES
    for field in FIELDS:
        for value in VALUES:
            yield json.dumps({field: value}).encode()
    for field in EXEC_FIELDS:
        for kind in ("python:3", "sequence", "blackbox"):
            for value in VALUES:
                yield json.dumps({"exec": {"kind": kind, "code": "x", field: value}}).encode()


def test_no_body_is_an_error_of_the_server(gateway: GatewayProcess) -> None:
    assert gateway.api("PUT", "packages/p", {}).status == 200
    for body in bodies():
        for path in PATHS[:5]:
            answer = gateway.api("PUT", f"{path}?overwrite=true", body)
            assert answer.status < 500, (path, body[:200], answer)
            if answer.status != 200:
                assert {"error", "code"} == answer.json.keys()


def test_no_path_is_an_error_of_the_server(gateway: GatewayProcess) -> None:
    for path in PATHS:
        for method in ("GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "HEAD"):
            answer = gateway.api(method, path.replace("\x7f", "%7F"), b"{}")
            assert answer.status < 500, (method, path, answer)


def test_no_query_is_an_error_of_the_server(gateway: GatewayProcess) -> None:
    values = (
        "",
        "x",
        "-1",
        "99999999999999999999",
        "%00",
        "%ff",
        "1e5",
        "true",
        "a/b/c",
        "/",
        "%D9%A3",
    )
    keys = ("limit", "skip", "count", "docs", "name", "since", "upto", "code", "overwrite")
    gateway.create("q", "def main(args):\n    return args\n")
    for key in keys:
        for value in values:
            for path in ("actions", "activations", "triggers", "actions/q"):
                answer = gateway.api("GET", f"{path}?{key}={value}")
                assert answer.status < 500, (path, key, value, answer)
    for value in values:
        answer = gateway.api("POST", f"actions/q?timeout={value}", b"{}")
        assert answer.status < 500, (value, answer)


def test_no_argument_is_an_error_of_the_server(gateway: GatewayProcess) -> None:
    gateway.create("echo", "def main(args):\n    return {'got': args}\n")
    for value in VALUES:
        answer = gateway.api("POST", "actions/echo?blocking=true&result=true", {"v": value})
        assert answer.status == 200, (value, answer)
    for body in BODIES:
        answer = gateway.api("POST", "actions/echo?blocking=true", body)
        assert answer.status in (200, 400), (body[:20], answer)
