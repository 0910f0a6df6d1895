"""The loop of a developer, with the page open: edit, break, mend, and see it without a reload."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.gateway.dev import DevProcess, write
from tests.support.browser import open_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

HELLO = "def main(args):\n    return {'greetings': 'Hello, ' + args['name']}\n"


def test_a_version_that_does_not_load_is_shown_over_every_page(
    browser: Browser, tmp_path: Path
) -> None:
    write(tmp_path, {"hello.py": HELLO})
    with DevProcess(tmp_path / "hello.py") as dev, open_page(browser, dev) as page:
        dev.wait_live("hello 0.0.1")
        page.get_by_role("link", name="hello", exact=True).click()
        page.locator("#live.on").wait_for()
        write(tmp_path, {"hello.py": HELLO.replace("def main(", "def main(:")})
        banner = page.get_by_role("alert")
        banner.get_by_text("hello does not load").wait_for()
        banner.get_by_text("SyntaxError").wait_for()
        page.get_by_label("Event, a JSON object").fill('{"name": "Mike"}')
        page.get_by_role("button", name="Invoke").click()
        page.locator("pre", has_text="Hello, Mike").wait_for()
        assert banner.get_by_text("hello does not load").is_visible()
        write(tmp_path, {"hello.py": HELLO.replace("Hello", "Ciao")})
        banner.get_by_text("hello does not load").wait_for(state="detached")
        page.get_by_role("button", name="To the newest version").click()
        page.locator(".added", has_text="Ciao, Mike").wait_for()


def test_a_traceback_has_the_lines_of_the_users_file(browser: Browser, tmp_path: Path) -> None:
    write(tmp_path, {"hello.py": HELLO})
    with DevProcess(tmp_path / "hello.py") as dev:
        dev.wait_live("hello 0.0.1")
        failed = dev.invoke("hello")["activationId"]
        with open_page(browser, dev) as page:
            page.goto(f"{dev.url}/activations/{failed}")
            page.locator("h3", has_text=f"{tmp_path}/hello.py").wait_for()
            page.locator("li.here", has_text="args['name']").wait_for()
