"""Functions in the styles in which they are published run unchanged."""

from __future__ import annotations

import pytest

from tests.process.lambda_functions import FILES, STYLES
from tests.support.runtime_api import Platform, Runtime

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.mark.parametrize("name", STYLES)
def test_a_published_function_runs_unchanged(name: str) -> None:
    style = STYLES[name]
    with Platform() as platform:
        runtime = Runtime(platform, "", style.handler)
        for path, text in FILES.items():
            file = runtime.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        with runtime:
            posted = platform.call(style.event)
            assert posted.kind == "response", runtime.log
            assert posted.json == style.result
