"""A real Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.gateway import GatewayProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 15.0
"""How long a browser may take for anything."""


def chromium() -> str:
    """Return the path of Chromium, which is installed from Debian if it is missing."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
            subprocess.run(["apt-get", "-qq", *command], check=True, capture_output=True)
        found = shutil.which("chromium")
    if found is None:
        pytest.fail("the tests of the page need Chromium: apt-get install chromium")
    return found


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start a browser, and end it."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.fail("the tests of the page need Playwright: pip install playwright")
    with sync_playwright() as playwright:
        # As root Chromium cannot make its sandbox.
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox"], timeout=60_000
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_page(browser: Browser, gateway: GatewayProcess, **options: Any) -> Iterator[Page]:
    """Open a window that is logged in; errors on its console fail at the end."""
    context = browser.new_context(**{"viewport": {"width": 1100, "height": 760}, **options})
    context.set_default_timeout(SECONDS * 1000)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: _is_problem(line) and problems.append(line.text))
    try:
        log_in(page, gateway)
        yield page
        assert not problems, problems
    finally:
        context.close()


def _is_problem(line: ConsoleMessage) -> bool:
    """Return whether a line of the console is an error, and no answer with an error's status."""
    return line.type == "error" and not line.text.startswith("Failed to load resource")


def log_in(page: Page, gateway: GatewayProcess) -> None:
    """Log in with the key of the namespace guest."""
    page.goto(f"{gateway.url}/login")
    page.get_by_label("The key of a namespace").fill(gateway.auth)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{gateway.url}/")
