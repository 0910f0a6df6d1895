"""The command wskdeploy: a project from its manifest, its export, its removal."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.clients import go_programs, run
from tests.support.gateway import GatewayProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MANIFEST = """
project:
  name: shop
  packages:
    orders:
      inputs:
        currency:
          type: string
          value: EUR
      actions:
        price:
          function: price.py
          runtime: python:3
          inputs:
            tax: 2
          limits:
            timeout: 5000
            memorySize: 128
        page:
          function: page.py
          runtime: python:3
          web: true
      sequences:
        priced:
          actions: price, page
      triggers:
        ordered:
          inputs:
            source: shop
      rules:
        on-order:
          trigger: ordered
          action: price
"""
PRICE = "def main(args):\n    return {'total': args['net'] + args['tax'], 'in': args['currency']}\n"
PAGE = "def main(args):\n    return {'body': '<p>%s</p>' % args.get('total')}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in (("manifest.yaml", MANIFEST), ("price.py", PRICE), ("page.py", PAGE)):
        (tmp_path / name).write_text(text)
    return tmp_path


def deploy(gateway: GatewayProcess, project: Path, *words: str) -> str:
    command = [go_programs() / "wskdeploy", *words, "-m", "manifest.yaml"]
    status, output = run([*command, *access(gateway)], project)
    assert status == 0, output
    return output


def access(gateway: GatewayProcess) -> list[str]:
    return ["--apihost", gateway.url, "--auth", gateway.auth, "--namespace", "_"]


def test_a_project_is_deployed_updated_and_removed(gateway: GatewayProcess, project: Path) -> None:
    assert "successfully" in deploy(gateway, project)
    price = gateway.api("GET", "actions/orders/price").json
    assert price["limits"]["timeout"] == 5000
    assert price["limits"]["memory"] == 128
    assert gateway.invoke("orders/price", {"net": 1})["response"]["result"] == {
        "total": 3,
        "in": "EUR",
    }
    priced = gateway.api("GET", "actions/orders/priced").json["exec"]
    assert priced["components"] == ["/guest/orders/price", "/guest/orders/page"]
    assert gateway.invoke("orders/priced", {"net": 1})["response"]["result"] == {"body": "<p>3</p>"}
    page = gateway.request("GET", "/api/v1/web/guest/orders/page?total=5", auth="")
    assert (page.status, page.content) == (200, b"<p>5</p>")
    rule = gateway.api("GET", "rules/on-order").json
    assert rule["action"] == {"path": "guest/orders", "name": "price"}
    assert gateway.api("POST", "triggers/ordered", {"net": 4}).status == 202
    (project / "price.py").write_text(PRICE.replace("+", "*"))
    deploy(gateway, project)
    assert gateway.invoke("orders/price", {"net": 4})["response"]["result"]["total"] == 8
    assert gateway.api("GET", "actions/orders/price").json["version"] == "0.0.2"
    deploy(gateway, project, "undeploy")
    for left in ("packages/orders", "triggers/ordered", "rules/on-order"):
        assert gateway.api("GET", left).status == 404, left


def test_a_managed_project_is_exported(gateway: GatewayProcess, project: Path) -> None:
    deploy(gateway, project, "sync", "--projectname", "shop")
    command = [go_programs() / "wskdeploy", "export", "--projectname", "shop", "-m", "out.yaml"]
    status, output = run([*command, *access(gateway)], project)
    assert status == 0, output
    exported = (project / "out.yaml").read_text()
    for name in ("orders", "price", "page", "ordered", "on-order"):
        assert name in exported, exported


def test_it_takes_the_kind_that_runs_here(gateway: GatewayProcess, project: Path) -> None:
    manifest = MANIFEST.replace("runtime: python:3", "runtime: python:2")
    (project / "manifest.yaml").write_text(manifest)
    deploy(gateway, project)
    assert gateway.api("GET", "actions/orders/price").json["exec"]["kind"] == "python:3"
