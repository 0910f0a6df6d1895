"""The page in a real browser: what a user does, with and without JavaScript, in every window."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browser import log_in, open_page
from tests.support.gateway import GatewayProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

HELLO = """\
import wave


def main(args):
    print("called")
    return {"greetings": "Hello, " + args["name"]}
"""
CIAO = HELLO.replace("Hello", "Ciao")
BROKEN = HELLO.replace('args["name"]', 'args["nmae"]')

HOSTILE = (
    "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>'\"&lt;{{7*7}}"
)

# The least contrast of the texts of a page with what is behind them, and the text that has it.
LEAST_CONTRAST = """
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const over = ([r, g, b, a], below) =>
    [r, g, b].map((value, index) => (value * a + below[index] * (255 - a)) / 255);
  const behind = (element) => {
    const layers = [];
    for (let each = element; each; each = each.parentElement) {
      layers.unshift(rgba(getComputedStyle(each).backgroundColor));
    }
    return layers.reduce((below, layer) => over(layer, below), [255, 255, 255]);
  };
  const light = (color) => {
    const [r, g, b] = color.map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  let least = [21, ""];
  for (const element of document.querySelectorAll("body *:not(svg *):not(option)")) {
    const own = [...element.childNodes].filter((node) => node.nodeType === 3);
    const text = own.map((node) => node.data.trim()).join("");
    if (!text || !element.checkVisibility()) continue;
    const ground = behind(element);
    const pair = [light(over(rgba(getComputedStyle(element).color), ground)), light(ground)];
    const contrast = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (contrast < least[0]) least = [contrast, text];
  }
  return least;
}
"""

UNNAMED = """
() => [...document.querySelectorAll("input:not([type=hidden]), textarea, select, button, a, svg")]
  .filter((each) => !each.closest("[role=img] *"))
  .filter((each) => !(each.labels?.length || each.ariaLabel || each.textContent.trim()))
  .map((each) => each.outerHTML)
"""


@pytest.fixture
def page(browser: Browser, shared_gateway: GatewayProcess) -> Iterator[Page]:
    with open_page(browser, shared_gateway) as opened:
        yield opened


def go(page: Page, path: str) -> None:
    """Open a path of the gateway on which the page is."""
    answer = page.goto(re.sub(r"(\w)/.*", rf"\1{path}", page.url))
    assert answer is not None
    assert answer.ok, answer.status


def live(page: Page) -> None:
    """Wait until the page gets events."""
    page.locator("#live.on").wait_for()


def wait_text(page: Page, selector: str, text: str) -> None:
    page.locator(selector, has_text=text).first.wait_for()


def invoke(page: Page, name: str, event: str) -> None:
    go(page, f"/actions/{name}")
    page.get_by_label("Event, a JSON object").fill(event)
    page.get_by_role("button", name="Invoke").click()
    page.get_by_role("heading", name=f"Activation of {name}").wait_for()


def every_page(gateway: GatewayProcess) -> list[str]:
    """Return the paths of all pages, about an action with a result, an error and two versions."""
    gateway.create("everything", HELLO)
    good = gateway.invoke("everything", {"name": "Mike"})["activationId"]
    gateway.create("everything", CIAO)
    bad = gateway.invoke("everything", {})["activationId"]
    components = {"kind": "sequence", "components": ["/_/everything"] * 2}
    gateway.api("PUT", "actions/in-a-row?overwrite=true", {"exec": components})
    row = gateway.invoke("in-a-row", {"name": "Mike"})["activationId"]
    gateway.api("PUT", "triggers/noon?overwrite=true", {})
    rule = {"trigger": "/_/noon", "action": "/_/everything"}
    gateway.api("PUT", "rules/daily?overwrite=true", rule)
    fired = gateway.api("POST", "triggers/noon", {}).json["activationId"]
    return [
        "/", "/actions/everything", "/activations", "/activations?errors=on&name=everything",
        f"/activations/{good}", f"/activations/{bad}", f"/compare?old={good}&new={bad}",
        "/actions/in-a-row", f"/activations/{row}", f"/activations/{fired}", "/triggers", "/login",
    ]  # fmt: skip


# -- a session -----------------------------------------------------------------------------------


def test_logging_out_ends_the_session(page: Page, shared_gateway: GatewayProcess) -> None:
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")
    page.goto(f"{shared_gateway.url}/activations")
    assert page.url.endswith("/login")


def test_the_file_that_open_writes_logs_in(browser: Browser, tmp_path: Path) -> None:
    with GatewayProcess("--open", env={"BROWSER": "true %s"}) as gateway:
        gateway.create("hello", HELLO)
        file = next((gateway.data / "run").glob("open-*.html"))
        context = browser.new_context()
        window = context.new_page()
        window.goto(file.as_uri())
        window.wait_for_url(f"{gateway.url}/")
        window.get_by_role("link", name="hello").wait_for()
        context.close()


# -- what a user does ----------------------------------------------------------------------------


def test_the_list_follows_what_happens(page: Page, shared_gateway: GatewayProcess) -> None:
    live(page)
    shared_gateway.create("watched", HELLO)
    row = page.locator("tr", has=page.get_by_role("link", name="watched", exact=True))
    row.wait_for()
    for name in ("Mike", "Anna"):
        shared_gateway.invoke("watched", {"name": name})
    shared_gateway.invoke("watched")
    row.locator("[data-label=Calls]", has_text="3").wait_for()
    row.locator("[data-label=Errors]", has_text="1").wait_for()
    assert re.fullmatch(r"\d+ ms", row.locator("[data-label=p95]").inner_text())
    shared_gateway.create("watched", CIAO)
    row.locator("[data-label=Version]", has_text="0.0.2").wait_for()
    shared_gateway.api("DELETE", "actions/watched")
    row.wait_for(state="detached")


def test_an_event_is_sent_and_remembered(page: Page, shared_gateway: GatewayProcess) -> None:
    shared_gateway.create("remembers", HELLO)
    invoke(page, "remembers", '{"name": "Anna"}')
    wait_text(page, "pre", "Hello, Anna")
    wait_text(page, "pre", "called")
    invoke(page, "remembers", '{"name": "Mike"}')
    page.get_by_role("link", name="remembers").click()
    field = page.get_by_label("Event, a JSON object")
    assert '"Mike"' in field.input_value()
    page.get_by_role("link", name='{"name": "Anna"}').click()
    page.wait_for_url("**event=*")
    assert '"Anna"' in field.input_value()


def test_a_text_that_is_no_event_is_not_sent(page: Page, shared_gateway: GatewayProcess) -> None:
    shared_gateway.create("strict", HELLO)
    go(page, "/actions/strict")
    field = page.get_by_label("Event, a JSON object")
    field.fill("{name: 1}")
    page.get_by_role("button", name="Invoke").click()
    assert "not JSON" in field.evaluate("field => field.validationMessage")
    assert page.url.endswith("/actions/strict")


def test_a_version_breaks_and_is_mended(page: Page, shared_gateway: GatewayProcess) -> None:
    shared_gateway.create("mended", HELLO)
    invoke(page, "mended", '{"name": "Mike"}')
    shared_gateway.create("mended", BROKEN)
    page.get_by_role("button", name="To the newest version").click()
    page.get_by_role("heading", name="Two activations").wait_for()
    wait_text(page, ".added", "'nmae'")
    page.locator("h2", has_text="0.0.2").get_by_role("link").click()
    wait_text(page, "li.here", 'args["nmae"]')
    wait_text(page, "p.bad", "KeyError: 'nmae'")
    shared_gateway.create("mended", CIAO)
    page.reload()
    page.get_by_role("button", name="To both").click()
    page.get_by_role("heading", name="Two activations").wait_for()
    wait_text(page, "h2", "Version 0.0.2")
    wait_text(page, "h2", "Version 0.0.3")
    wait_text(page, ".removed", "application error")
    wait_text(page, ".added", "success")


def test_a_source_that_does_not_compile(page: Page, shared_gateway: GatewayProcess) -> None:
    shared_gateway.create("uncompiled", "def main(args:\n    return {}\n")
    invoke(page, "uncompiled", "{}")
    wait_text(page, "li.here", "def main(args:")
    wait_text(page, "p.bad", "SyntaxError")
    page.get_by_role("link", name="uncompiled").click()
    wait_text(page, "#versions", "failed")


def test_a_roll_back_is_a_new_version(page: Page, shared_gateway: GatewayProcess) -> None:
    shared_gateway.create("rolled", HELLO)
    shared_gateway.create("rolled", CIAO)
    go(page, "/actions/rolled")
    page.get_by_role("link", name="Code").last.click()
    wait_text(page, "#code", "Hello, ")
    page.get_by_role("button", name="Roll back to 0.0.1").click()
    wait_text(page, "#facts", "0.0.3")
    wait_text(page, "#code", "Hello, ")
    answer = shared_gateway.invoke("rolled", {"name": "Mike"})
    assert answer["version"] == "0.0.3"
    assert answer["response"]["result"] == {"greetings": "Hello, Mike"}


def test_imports_are_measured_when_asked(page: Page, shared_gateway: GatewayProcess) -> None:
    shared_gateway.create("imports", HELLO)
    go(page, "/actions/imports")
    page.get_by_role("button", name="Measure the imports").click()
    page.get_by_role("button", name="Measure again").wait_for()
    page.get_by_text("As a table").click()
    wait_text(page, "#imports td", "wave")
    shared_gateway.create("imports", "import nothing_like_it\n" + HELLO)
    go(page, "/actions/imports")
    page.get_by_role("button", name="Measure the imports").wait_for()


def test_an_activation_that_still_runs_appears_when_it_is_over(
    page: Page, shared_gateway: GatewayProcess, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    shared_gateway.create(
        "waits", f"def main(args):\n    return {{'read': open({str(gate)!r}).read()}}\n"
    )
    identifier = shared_gateway.api("POST", "actions/waits", {}).json["activationId"]
    page.goto(f"{shared_gateway.url}/activations/{identifier}")
    page.get_by_role("heading", name="still runs").wait_for()
    live(page)
    gate.write_text("opened")
    page.get_by_role("heading", name="Activation of waits").wait_for()
    wait_text(page, "pre", "opened")


def test_an_action_that_is_deleted_leaves_its_page(
    page: Page, shared_gateway: GatewayProcess
) -> None:
    shared_gateway.create("leaves", HELLO)
    go(page, "/actions/leaves")
    live(page)
    shared_gateway.api("DELETE", "actions/leaves")
    page.get_by_role("heading", name="There is no action leaves").wait_for()


def test_activations_are_filtered_and_paged(page: Page, shared_gateway: GatewayProcess) -> None:
    shared_gateway.create("many", HELLO)
    for _ in range(52):
        shared_gateway.invoke("many", {"name": "Mike"})
    shared_gateway.invoke("many")
    go(page, "/activations")
    page.locator("#name").fill("many")
    page.get_by_role("button", name="Filter").click()
    wait_text(page, "caption", "53 activations")
    assert page.locator("tbody tr").count() == 50
    page.get_by_role("link", name="Older").click()
    page.wait_for_url("**page=2")
    assert page.locator("tbody tr").count() == 3
    page.get_by_label("only errors").check()
    page.get_by_role("button", name="Filter").click()
    wait_text(page, "caption", "1 activation,")


def test_triggers_rules_and_packages_are_listed(page: Page, shared_gateway: GatewayProcess) -> None:
    shared_gateway.create("target", HELLO)
    shared_gateway.api("PUT", "packages/tools", {"parameters": [{"key": "unit", "value": 1}]})
    shared_gateway.api("PUT", "triggers/evening", {})
    rule = {"trigger": "/_/evening", "action": "/_/target"}
    assert shared_gateway.api("PUT", "rules/at-night", rule).status == 200
    go(page, "/triggers")
    wait_text(page, "#rules", "at-night")
    wait_text(page, "#triggers", "evening")
    wait_text(page, "#packages", "unit")


# -- how it is read ------------------------------------------------------------------------------


def test_everything_works_without_javascript(
    browser: Browser, shared_gateway: GatewayProcess
) -> None:
    shared_gateway.create("plain", HELLO)
    shared_gateway.create("plain", CIAO)
    with open_page(browser, shared_gateway, java_script_enabled=False) as page:
        page.get_by_role("link", name="plain", exact=True).click()
        page.get_by_label("Event, a JSON object").fill("no json")
        page.get_by_role("button", name="Invoke").click()
        wait_text(page, "[role=alert]", "The event is not JSON")
        field = page.get_by_label("Event, a JSON object")
        assert field.input_value() == "no json"
        field.fill('{"name": "Jo"}')
        page.get_by_role("button", name="Invoke").click()
        wait_text(page, "pre", "Ciao, Jo")
        page.get_by_role("button", name="To the newest version").click()
        wait_text(page, "p.good", "There is none")
        go(page, "/actions/plain")
        page.get_by_role("button", name="Roll back to 0.0.1").click()
        wait_text(page, "#facts", "0.0.3")


def test_hostile_texts_are_only_texts(page: Page, shared_gateway: GatewayProcess) -> None:
    source = (
        f"'''{HOSTILE}'''\nimport sys\ndef main(args):\n"
        "    print(args['text'])\n    print(args['text'], file=sys.stderr)\n"
        "    if args.get('fail'):\n        raise ValueError(args['text'])\n"
        "    return {args['text']: args['text']}\n"
    )
    name = "a&b @.c"
    quoted = "a%26b%20%40.c"
    shared_gateway.api("PUT", "packages/p%26q", {})
    body = {"exec": {"kind": "python:3", "code": source}}
    assert shared_gateway.api("PUT", f"actions/p%26q/{quoted}", body).status == 200
    path = f"actions/p%26q/{quoted}?blocking=true"
    good = shared_gateway.api("POST", path, {"text": HOSTILE}).json["activationId"]
    bad = shared_gateway.api("POST", path, {"text": HOSTILE, "fail": 1}).json["activationId"]
    for address in (
        "/", f"/actions/p%26q/{quoted}", f"/activations/{good}", f"/activations/{bad}",
        f"/compare?old={good}&new={bad}",
    ):  # fmt: skip
        go(page, address)
        assert page.evaluate("window.hacked") is None, address
        assert name in page.locator("main").inner_text() or address.startswith("/compare")
    go(page, "/")
    page.get_by_role("link", name=f"p&q/{name}").click()
    page.get_by_role("button", name="Invoke").click()
    wait_text(page, "pre", HOSTILE)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_contrast_and_everything_a_name(
    browser: Browser, shared_gateway: GatewayProcess, scheme: str
) -> None:
    paths = every_page(shared_gateway)
    options: dict[str, Any] = {"color_scheme": scheme, "reduced_motion": "reduce"}
    with open_page(browser, shared_gateway, **options) as page:
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (max(map(int, re.findall(r"\d+", ground))) < 60) == (scheme == "dark")
        for path in paths:
            go(page, path)
            contrast, text = page.evaluate(LEAST_CONTRAST)
            assert contrast >= 4.5, f"{path}: {text}: {contrast:.2f}"
            assert page.evaluate(UNNAMED) == [], path
            assert page.locator("h1").count() == 1, path


def test_a_narrow_window_needs_no_scrolling_to_the_side(
    browser: Browser, shared_gateway: GatewayProcess
) -> None:
    paths = every_page(shared_gateway)
    with open_page(browser, shared_gateway, viewport={"width": 360, "height": 640}) as page:
        for path in paths:
            go(page, path)
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, path


def test_the_keyboard_is_enough(page: Page, shared_gateway: GatewayProcess) -> None:
    shared_gateway.create("keys", HELLO)
    go(page, "/actions/keys")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.get_by_label("Event, a JSON object").fill('{"name": "Mike"}')
    page.keyboard.press("Control+Enter")
    wait_text(page, "pre", "Hello, Mike")
    go(page, "/")
    live(page)
    link = page.get_by_role("link", name="keys", exact=True)
    link.focus()
    shared_gateway.invoke("keys", {"name": "Mike"})
    row = page.locator("tr", has=link)
    row.locator("[data-label=Calls]", has_text="2").wait_for()
    assert page.evaluate("document.activeElement.textContent") == "keys"
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="keys").wait_for()


def test_an_open_page_does_not_keep_the_server_from_stopping(browser: Browser) -> None:
    with GatewayProcess() as gateway:
        context = browser.new_context()
        page = context.new_page()
        log_in(page, gateway)
        live(page)
        gateway.process.terminate()
        assert gateway.process.wait(10) == 0
        page.locator("#live.off").wait_for()
        context.close()
