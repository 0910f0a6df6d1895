"""An action's environment under the platform is that of the official image."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import pytest

from tests.support.archives import zip_of
from tests.support.client import Connection
from tests.support.server import Server
from tests.support.wire import post, run_request

SOURCE = """\
import os
AT_IMPORT = dict(os.environ)
def main(event): return {"import": AT_IMPORT, "run": dict(os.environ), "cwd": os.getcwd()}
"""
NAME = f"openwhisk/action-python-v{sys.version_info[0]}.{sys.version_info[1]}"


def seen(
    variables: dict[str, str], env: dict[str, object] | None = None, *profile: str
) -> dict[str, Any]:
    """Return what an action sees; ``variables`` are the container's, ``env`` those of the /init."""
    with Server(*(profile or ("--openwhisk",)), env=variables) as server:
        value = {"code": SOURCE, "env": env}
        with Connection(server.address) as connection:
            connection.send(post("/init", json.dumps({"value": value}).encode()))
            assert connection.read_response().status == 200
        found = server.call()
        assert isinstance(found, dict)
        return found


def test_what_the_official_proxy_sets_is_there_at_import_and_in_a_run() -> None:
    variables = {
        "OW_EXECUTION_ENV": "openwhisk/action-python-v3.12", "OW_WAIT_FOR_ACK": "1",
        "__OW_API_HOST": "https://api.example:443", "__OW_OPERATORS": "a=b=c",
    }  # fmt: skip
    found = seen(variables)
    for when in ("import", "run"):
        environ = found[when]
        assert environ["__OW_EXECUTION_ENV"] == "openwhisk/action-python-v3.12"
        assert environ["__OW_PROXY_VERSION"] == "1.17.1"
        assert environ["__OW_WAIT_FOR_ACK"] == "1"
        assert environ["__OW_API_HOST"] == "https://api.example:443"
        assert environ["__OW_OPERATORS"] == "a=b=c"
        assert environ["PYTHONIOENCODING"] == "UTF-8"
        assert environ["PWD"] == found["cwd"]


def test_an_image_without_a_name_has_the_official_ones() -> None:
    found = seen({})["run"]
    assert found["__OW_EXECUTION_ENV"] == NAME
    assert "__OW_WAIT_FOR_ACK" not in found


def test_what_init_sends_wins_and_then_what_the_container_has() -> None:
    container = {"__OW_EXECUTION_ENV": "the container's", "PYTHONIOENCODING": "latin-1"}
    found = seen(container, {"__OW_PROXY_VERSION": "sent"})["run"]
    assert found["__OW_EXECUTION_ENV"] == "the container's"
    assert found["PYTHONIOENCODING"] == "latin-1"
    assert found["__OW_PROXY_VERSION"] == "sent"


def test_the_plain_profile_has_none_of_it() -> None:
    found = seen({}, None, "--workers", "1")["run"]
    assert not [name for name in found if name.startswith("__OW_")]
    assert "PYTHONIOENCODING" not in found


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "true"), (3, "3"), ([1, {"x": None}], '[1,{"x":null}]'), ("", "")],
)
def test_a_value_of_the_environment_that_is_no_text_is_its_json(value: object, text: str) -> None:
    assert seen({}, {"GIVEN": value})["run"]["GIVEN"] == text


# -- what a zip and a handler may have of their own -------------------------------------------


@pytest.mark.parametrize("own", ['{"format": 9}', "no JSON", '{"name": "their own settings"}'])
def test_a_zip_may_have_a_hotwhisk_json_of_its_own(server: Server, own: str) -> None:
    source = "def main(event): return {'own': open('hotwhisk.json').read()}\n"
    server.post(zip_of({"__main__.py": source, "hotwhisk.json": own}))
    assert server.call() == {"own": own}


@pytest.mark.parametrize("define", ["def", "async def"])
def test_a_handler_as_digitalocean_documents_it(define: str) -> None:
    source = """\
{define} main(event, context):
    return {{
        "name": context.function_name, "version": context.function_version,
        "request": context.request_id, "activation": context.activation_id,
        "host": context.api_host, "left": context.get_remaining_time_in_millis(),
    }}
"""
    with Server("--openwhisk", env={"__OW_API_HOST": "https://faas.example"}) as server:
        server.post(source.format(define=define))
        request = run_request(
            {}, activation_id="a1", transaction_id="t1", action_name="/ns/pkg/hello",
            action_version="0.0.4", deadline=str(int(1000 * (time.time() + 30))),
        )  # fmt: skip
        with Connection(server.address) as connection:
            connection.send(request)
            answer = json.loads(connection.read_response().body)
        left = answer.pop("left")
        assert type(left) is int
        assert 0 < left <= 30_000
        assert answer == {
            "name": "/ns/pkg/hello", "version": "0.0.4", "request": "t1", "activation": "a1",
            "host": "https://faas.example",
        }  # fmt: skip
