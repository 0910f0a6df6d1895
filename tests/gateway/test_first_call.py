from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from tests.support.gateway import GatewayProcess

pytestmark = pytest.mark.slow

HELLO = "def main(args):\n    print('called')\n    return {'greetings': 'Hello, ' + args['name']}\n"
CIAO = "def main(args):\n    return {'saluti': 'Ciao, ' + args['name']}\n"


def test_an_action_is_created_called_and_replaced(gateway: GatewayProcess) -> None:
    gateway.create("hello", HELLO)
    first = gateway.invoke("hello", {"name": "Mike"})
    assert first["response"]["result"] == {"greetings": "Hello, Mike"}
    assert [line.partition(" stdout: ")[2] for line in first["logs"]] == ["called"]
    updated = gateway.create("hello", CIAO).json
    assert updated["version"] == "0.0.2"
    second = gateway.invoke("hello", {"name": "Mike"})
    assert second["response"]["result"] == {"saluti": "Ciao, Mike"}
    assert second["version"] == "0.0.2"


def test_an_activation_is_kept(gateway: GatewayProcess) -> None:
    gateway.create("hello", HELLO)
    record = gateway.invoke("hello", {"name": "Mike"})
    assert gateway.api("GET", f"activations/{record['activationId']}").json == record


def test_a_wrong_key_gets_nothing(gateway: GatewayProcess) -> None:
    gateway.create("hello", HELLO)
    assert gateway.api("GET", "actions/hello", auth="").status == 401
    assert gateway.api("GET", "actions/hello", auth=f"{gateway.auth}x").status == 401


def test_the_page_shows_a_log_as_it_was_printed_and_the_api_as_the_platform_does(
    gateway: GatewayProcess,
) -> None:
    gateway.create("table", "def main(args):\n    print('a')\n    print('    b')\n    return {}\n")
    record = gateway.invoke("table")
    assert [line[31:] for line in record["logs"]] == ["stdout: a", "stdout: b"]
    logs = gateway.api("GET", f"activations/{record['activationId']}/logs").json["logs"]
    assert logs == record["logs"]
    with closing(sqlite3.connect(gateway.data / "hotwhisk.db")) as database:
        (kept,) = database.execute("SELECT logs FROM activations").fetchone()
    assert [line[31:] for line in json.loads(kept)] == ["stdout: a", "stdout:     b"]
