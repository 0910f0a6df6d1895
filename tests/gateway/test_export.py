"""A namespace that is exported and made again elsewhere, by the library of which wsk is made."""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.archives import zip_of
from tests.support.clients import go_programs
from tests.support.gateway import HOTWHISK_UP, GatewayProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

HELLO = (
    "def main(args):\n    return {'greetings': 'Hello, ' + args['name'] + args.get('end', '')}\n"
)
MODE = "import os\n\ndef main(args):\n    return {'mode': os.environ['MODE']}\n"
KINDS = ("packages", "actions", "triggers", "rules")


def pairs(**values: object) -> list[dict[str, object]]:
    """Return parameters or annotations as the API takes them."""
    return [{"key": key, "value": value} for key, value in values.items()]


def fill(gateway: GatewayProcess) -> None:
    """Make at least one entity of each kind, with all its fields."""

    def put(path: str, body: object) -> None:
        answer = gateway.api("PUT", f"{path}?overwrite=true", body)
        assert answer.status == 200, answer

    text = 'It\'s "$HOME" & `date`\n\\ <é>'
    put("packages/tools", {"publish": True, "parameters": pairs(end="!", deep={"a": [1, None]})})
    binding = {"namespace": "guest", "name": "tools"}
    put("packages/bound", {"binding": binding, "parameters": pairs(end="?")})
    put("packages/empty", {"annotations": pairs(description=text)})
    limits = {"timeout": 12_000, "memory": 128, "logs": 2}
    fields = {"annotations": pairs(**{"web-export": True, "final": True}), "limits": limits}
    gateway.create("tools/hello", HELLO, parameters=pairs(name="Mike", text=text), **fields)
    gateway.create(quote("a name & more"), "def other(args):\n    return {'é': 1}\n")
    code = base64.b64encode(zip_of({"__main__.py": HELLO, "data/ä.txt": "text"})).decode()
    put("actions/zipped", {"exec": {"kind": "python:3", "code": code, "main": "main"}})
    variable = {"key": "MODE", "value": "fast", "init": True}
    gateway.create("mode", MODE, parameters=[variable, *pairs(name="x")])
    for name, components in (
        ("inner", ["/_/tools/hello", "/_/zipped"]),
        ("again", ["/_/inner", "/guest/bound/hello"]),
    ):
        put(f"actions/{name}", {"exec": {"kind": "sequence", "components": components}})
    put("triggers/daily", {"parameters": pairs(hour=7), "annotations": pairs(by="test")})
    on = {"trigger": "/_/daily", "action": "/_/tools/hello", "annotations": pairs(why=text)}
    put("rules/on", on)
    put("rules/off", {"trigger": "/_/daily", "action": "/_/again"})
    assert gateway.api("POST", "rules/off", {"status": "inactive"}).status == 200


def everything(gateway: GatewayProcess) -> dict[str, Any]:
    """Return all entities as the API shows them, without versions and times."""
    found = {}
    for kind in KINDS:
        for each in gateway.api("GET", f"{kind}?limit=200").json:
            package = each["namespace"].partition("/")[2]
            path = f"{kind}/{package}/{each['name']}" if package else f"{kind}/{each['name']}"
            found[path] = _plain(gateway.api("GET", quote(path)).json)
    return found


def _plain(shown: Any) -> Any:
    """Drop what is not a matter of content: versions, times, the order of parameters."""
    if isinstance(shown, dict):
        return {
            key: _plain(value) for key, value in shown.items() if key not in ("version", "updated")
        }
    if isinstance(shown, list):
        plain = [_plain(each) for each in shown]
        keyed = all(isinstance(each, dict) and ("key" in each or "name" in each) for each in plain)
        return sorted(plain, key=str) if keyed else plain
    return shown


def test_an_exported_namespace_is_the_same_elsewhere(
    gateway: GatewayProcess, tmp_path: Path
) -> None:
    fill(gateway)
    before = everything(gateway)
    assert {path.partition("/")[0] for path in before} == set(KINDS)
    folder = tmp_path / "out"
    done = subprocess.run(
        [*HOTWHISK_UP, "export", str(folder), "--data", str(gateway.data)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == (
        "hotwhisk: exported 2 packages, 4 actions, 1 binding, 2 sequences, 1 trigger, 2 rules\n"
        f"hotwhisk: next: {folder}/deploy.sh\n"
    )
    props = tmp_path / "props"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "wsk").symlink_to(go_programs() / "wskline")
    env = {
        **os.environ,
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "WSK_CONFIG_FILE": str(props),
    }
    with GatewayProcess("--wskprops", env=env) as target:
        for _ in range(2):  # it replaces what is there
            deployed = subprocess.run(
                [str(folder / "deploy.sh")], env=env, capture_output=True, text=True, check=False
            )
            assert deployed.returncode == 0, deployed
            assert everything(target) == before
            target.api("PUT", "rules/on?overwrite=true", {"annotations": pairs(other=1)})
            target.api("POST", "rules/on", {"status": "inactive"})
            target.api("PUT", "packages/bound?overwrite=true", {"parameters": pairs(end="…")})
        assert subprocess.run([str(folder / "deploy.sh")], env=env, check=False).returncode == 0
        result = target.invoke("again", {})["response"]["result"]
        assert result == gateway.invoke("again", {})["response"]["result"]
        assert target.invoke("mode")["response"]["result"] == {"mode": "fast"}
