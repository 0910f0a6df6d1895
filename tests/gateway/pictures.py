"""
Take the pictures of the page for docs/: ``./run pictures``.

A small shop is deployed, called, broken and mended, so that each page has something to show.
"""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.browser import open_browser, open_page
from tests.support.gateway import GatewayProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDTH = 1040

PRICE = '''\
"""Say what an order costs."""

import time
import urllib.request

PRICES = {"tea": 2.5, "coffee": 3.0, "cake": 4.2}


def main(args):
    time.sleep(args.get("delay", 0) / 1000)
    total = sum(PRICES[each] for each in args["order"])
    print("an order of", len(args["order"]))
    return {"total": round(total * 1.1, 2)}
'''
OTHERS = {
    "hello": "def main(args):\n    return {'greetings': 'Hello, ' + args['name']}\n",
    "shop/receipt": "def main(args):\n    return {'lines': len(args)}\n",
    "shop/stock": "def main(args):\n    return {'left': 40 - args['sold']}\n",
}


@dataclass(frozen=True)
class Picture:
    """A part of a page: from the top, or from one element, to the end of another."""

    path: str
    last: str
    first: str = ""


def deploy(gateway: GatewayProcess) -> dict[str, Picture]:
    """Fill a gateway, and return the pictures to be taken of it, by their names."""
    chance = random.Random(7)
    gateway.api("PUT", "packages/shop", {})
    for name, code in OTHERS.items():
        gateway.create(name, code)
        for number in range(chance.randrange(4, 12)):
            gateway.invoke(name, {"name": "Mike", "sold": number})
    gateway.invoke("shop/stock")
    failed = ""
    for version in (PRICE.replace(" * 1.1", ""), PRICE.replace("1.1", "1.07"), PRICE):
        gateway.create("shop/price", version)
        failed = gateway.invoke("shop/price", {"order": ["tea", "juice"]})["activationId"]
        for _ in range(24):
            order = chance.choices(["tea", "coffee", "cake"], k=2)
            delay = round(chance.expovariate(1 / 14))
            gateway.invoke("shop/price", {"order": order, "delay": delay})
    return {
        "actions": Picture("/", "main"),
        "action": Picture("/actions/shop/price", "#versions"),
        "code": Picture("/actions/shop/price", "#imports", "#code"),
        "activation": Picture(f"/activations/{failed}", ".columns"),
    }


def take(browser: Browser, folder: Path) -> None:
    """Write the pictures into a folder."""
    size = {"width": WIDTH, "height": 720}
    with GatewayProcess() as gateway:
        pictures = deploy(gateway)
        with open_page(browser, gateway, viewport=size, reduced_motion="reduce") as page:
            page.goto(f"{gateway.url}/actions/shop/price")
            page.get_by_role("button", name="Measure the imports").click()
            page.get_by_role("button", name="Measure again").wait_for()
            for name, picture in pictures.items():
                page.goto(gateway.url + picture.path)
                page.locator("#live.on").wait_for()
                top = edge(page, picture.first, "top") - 14 if picture.first else 0
                bottom = edge(page, picture.last, "bottom") + 14
                clip = {"x": 0, "y": top, "width": WIDTH, "height": bottom - top}
                page.screenshot(path=folder / f"{name}.png", full_page=True, clip=clip)


def edge(page: Page, selector: str, side: str) -> float:
    """Return where the upper or lower edge of an element is on the page."""
    script = "(element, side) => element.getBoundingClientRect()[side] + scrollY"
    found: float = page.locator(selector).evaluate(script, side)
    return found


if __name__ == "__main__":
    with open_browser() as opened:
        take(opened, Path(sys.argv[1]))
