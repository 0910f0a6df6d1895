"""Which path of a web action stands for a path."""

from __future__ import annotations

import pytest

from hotwhisk.gateway.dev.web_paths import OWN, address, web_path

WEB = "/api/v1/web/guest"
NAMES = {"hello", "hello.v2", "pack", "pack/two", *OWN, "actions/hello", "api/v1"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/hello", f"{WEB}/default/hello"),
        ("/hello.json", f"{WEB}/default/hello.json"),
        ("/hello.v2", f"{WEB}/default/hello.v2"),
        ("/hello.v2.json/a", f"{WEB}/default/hello.v2.json/a"),
        ("/hello.v3", ""),
        ("/hello/a/b", f"{WEB}/default/hello/a/b"),
        ("/pack/two.http/rest", f"{WEB}/pack/two.http/rest"),
        ("/pack/other", f"{WEB}/default/pack/other"),
        ("/other", ""),
        ("/", ""),
        ("/api/v1/namespaces", ""),
        ("/login", ""),
        ("/actions/hello", ""),
        ("/static/page.css", ""),
        ("/login.json", f"{WEB}/default/login.json"),
    ],
)
def test_paths(path: str, expected: str) -> None:
    assert web_path(path, NAMES) == expected


def test_the_gateways_own_paths_are_known() -> None:
    own = {"", "actions", "activations", "api", "healthz", "login", "metrics", "readyz", "static"}
    assert own <= OWN


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("hello", "/hello"),
        ("pack/login", "/pack/login"),
        ("login", f"{WEB}/default/login (/login is a page or route of hotwhisk)"),
        ("api/v1", f"{WEB}/api/v1 (/api is a page or route of hotwhisk)"),
    ],
)
def test_the_address_of_an_action(action: str, expected: str) -> None:
    assert address(action) == expected
