"""
What ``hotwhisk build`` made for the image is posted, replaced and run there, with libraries that
people use; and two versions of one library follow each other under load.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.client import init_once, run_once
from tests.support.load import Plan, run_load

from .artifact import build
from .container import COMPAT, SLIM, Container

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

REPLACES = "--env=PROXY_ALLOW_REINIT=1"

TABLE = """\
import numpy
import pandas
from cryptography.fernet import Fernet

def main(event):
    frame = pandas.DataFrame({"city": ["Bern", "Rome", "Bern"], "sold": numpy.array([1, 2, 4])})
    vault = Fernet(Fernet.generate_key())
    text = frame.groupby("city").sold.sum().to_json()
    return {"sold": vault.decrypt(vault.encrypt(text.encode())).decode()}
"""
PAGE = """\
from jinja2 import Template
from PIL import Image
from pydantic import BaseModel
from requests import PreparedRequest

class Order(BaseModel):
    number: int
    name: str

def main(event):
    order = Order.model_validate({"number": "7", "name": "Ada"})
    page = Template("{{ order.name }}: {{ order.number + 1 }}").render(order=order)
    request = PreparedRequest()
    request.prepare_url("http://localhost/", {"page": page})
    image = Image.new("RGB", (64, 48), "red").resize((8, 6))
    return {"url": request.url, "size": list(image.size), "pixel": list(image.getpixel((3, 3)))}
"""
OLDER = """\
import requests

def main(event):
    return {"version": requests.__version__}
"""
TURN = """\
import jinja2

def main(event):
    if jinja2.__version__ != "{library}":
        raise RuntimeError(jinja2.__version__)
    return {{"version": {number}, "token": event.get("token")}}
"""

LARGE = (TABLE, "numpy==2.3.5", "pandas==2.3.3", "cryptography==46.0.3")
SMALL = (PAGE, "jinja2==3.1.6", "pillow==12.0.0", "pydantic==2.12.4", "requests==2.32.5")


def test_forty_megabytes_of_native_wheels_are_posted_replaced_and_posted_again(
    tmp_path: Path,
) -> None:
    large = build(tmp_path / "large", *LARGE).read_bytes()
    small = build(tmp_path / "small", *SMALL).read_bytes()
    assert len(large) > 38_000_000
    sold = {"sold": '{"Bern":5,"Rome":2}'}
    page = {"url": "http://localhost/?page=Ada%3A+8", "size": [8, 6], "pixel": [255, 0, 0]}
    with Container(SLIM, REPLACES, "--memory=1g") as container:
        for content, expected in ((large, sold), (small, page), (large, sold)):
            answer = init_once(container.address, content, timeout=60.0)
            assert answer.status == 200, container.logs()
            assert run_once(container.address, {}, timeout=30.0).json() == expected
        status = container.status()
        assert (status["generation"]["number"], status["deaths"]) == (3, [])


def test_an_action_has_its_own_version_of_what_the_image_has(tmp_path: Path) -> None:
    built = build(tmp_path / "older", OLDER, "requests==2.28.2", image=COMPAT)
    with Container(COMPAT, REPLACES) as container:
        assert init_once(container.address, OLDER).status == 200
        assert run_once(container.address, {}).json() != {"version": "2.28.2"}
        assert init_once(container.address, built.read_bytes()).status == 200
        assert run_once(container.address, {}).json() == {"version": "2.28.2"}
        assert init_once(container.address, OLDER).status == 200
        assert run_once(container.address, {}).json() != {"version": "2.28.2"}


def test_two_versions_of_a_library_follow_each_other_and_no_request_is_lost(tmp_path: Path) -> None:
    last = 9
    for number in range(1, last + 1):
        library = "3.0.3" if number % 2 else "3.1.6"
        source = TURN.format(library=library, number=number)
        build(tmp_path / str(number), source, f"jinja2=={library}", "markupsafe==3.0.3")
    with Container(SLIM, REPLACES) as container:
        address = container.address
        first = tmp_path / "1" / "built"
        assert init_once(address, first.read_bytes()).status == 200
        url = f"http://{address[0]}:{address[1]}"
        command = f"{sys.executable} -m hotwhisk replace --url {url} {tmp_path}/{{n}}/built"
        plan = Plan(address, clients=16, replacements=last - 1, between=200, command=command)
        result = run_load(plan)
        assert result.problems(plan) == []
        assert container.status()["deaths"] == []


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    one = build(tmp_path / "one", *SMALL)
    other = build(tmp_path / "of" / "another", *SMALL)
    assert one.read_bytes() == other.read_bytes()
