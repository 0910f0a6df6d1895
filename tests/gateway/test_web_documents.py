"""Documents of web actions, in a browser whose user is logged in to the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.browser import open_page
from tests.support.gateway import GatewayProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

WEB = [{"key": "web-export", "value": True}]
CODE = '''
SCRIPT = """
<p id="found">nothing</p><script>
fetch("/").then(answer => answer.text()).then(
    text => { found.textContent = "read" },
    () => { found.textContent = "refused" },
)
</script>
"""

def main(args):
    headers = {"Content-Security-Policy": args["policy"]} if "policy" in args else {}
    return {"body": SCRIPT, "headers": headers}
'''


@pytest.mark.parametrize(
    ("query", "expected"), [("", "refused"), ("?policy=img-src%20'self'", "read")]
)
def test_a_script_reads_the_page_only_if_the_action_says_so(
    gateway: GatewayProcess, browser: Browser, query: str, expected: str
) -> None:
    gateway.create("script", CODE, annotations=WEB)
    with open_page(browser, gateway) as logged_in:
        page = logged_in.context.new_page()
        page.goto(f"{gateway.url}/api/v1/web/guest/default/script{query}")
        page.locator("#found", has_text=expected).wait_for()
