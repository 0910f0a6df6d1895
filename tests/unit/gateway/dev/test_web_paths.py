"""Which path of a web action stands for a path."""

from __future__ import annotations

import pytest

from hotwhisk.gateway.dev.web_paths import web_path

WEB = "/api/v1/web/guest"
NAMES = {"hello", "pack/two"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/hello", f"{WEB}/default/hello"),
        ("/hello.json", f"{WEB}/default/hello.json"),
        ("/hello/a/b", f"{WEB}/default/hello/a/b"),
        ("/pack/two.http/rest", f"{WEB}/pack/two.http/rest"),
        ("/pack/other", ""),
        ("/pack", ""),
        ("/", ""),
        ("/api/v1/namespaces", ""),
        ("/login", ""),
    ],
)
def test_paths(path: str, expected: str) -> None:
    assert web_path(path, NAMES) == expected
