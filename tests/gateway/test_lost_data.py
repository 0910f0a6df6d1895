"""A folder of data that is removed or replaced while the gateway serves."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from tests.support.gateway import GatewayProcess

pytestmark = pytest.mark.slow

HELLO = "def main(args):\n    return {'hello': args.get('name', 'you')}\n"
MARK = "def main(args):\n    open(args['at'], 'a').close()\n    return {}\n"
BODY = {"exec": {"kind": "python:3", "code": HELLO}}


def expect_refusals(gateway: GatewayProcess) -> None:
    """Check that nothing is acknowledged or run, and that the readiness says why."""
    reason = f"{gateway.data}/hotwhisk.db was removed or replaced while hotwhisk up uses it"
    ready = gateway.request("GET", "/readyz")
    assert ready.status == 503
    assert reason in ready.content.decode()
    mark = gateway.folder / "mark"
    for method, path, body in (
        ("PUT", "actions/fresh", BODY),
        ("PUT", "packages/fresh", {}),
        ("DELETE", "actions/hello", None),
        ("POST", "actions/mark?blocking=true", {"at": str(mark)}),
        ("POST", "actions/mark", {"at": str(mark)}),
        ("POST", "triggers/daily", {"at": str(mark)}),
    ):
        answer = gateway.api(method, path, body)
        assert answer.status == 503, (path, answer)
        assert reason in answer.json["error"], answer
    assert not mark.exists()
    assert gateway.request("GET", "/healthz").status == 200


@pytest.fixture
def filled(gateway: GatewayProcess) -> GatewayProcess:
    gateway.create("hello", HELLO)
    gateway.create("mark", MARK)
    assert gateway.api("PUT", "triggers/daily", {}).status == 200
    rule = {"trigger": "/_/daily", "action": "/_/mark"}
    assert gateway.api("PUT", "rules/each", rule).status == 200
    gateway.invoke("hello")
    return gateway


def test_a_removed_folder_is_noticed(filled: GatewayProcess) -> None:
    shutil.rmtree(filled.data)
    expect_refusals(filled)
    assert not filled.data.exists()
    filled.__exit__()
    assert filled.process.returncode == 0
    assert "Traceback" not in filled.stderr()
    with GatewayProcess(data=filled.folder) as again:
        assert again.api("GET", "actions").json == []


def test_a_replaced_folder_is_left_alone(filled: GatewayProcess) -> None:
    filled.data.rename(filled.folder / "aside")
    filled.data.mkdir(0o700)
    expect_refusals(filled)
    assert not list(filled.data.iterdir())
    filled.data.rmdir()
    filled.data.write_text("a file")
    expect_refusals(filled)


def test_a_folder_that_comes_back_is_used_again(filled: GatewayProcess) -> None:
    aside = filled.folder / "aside"
    filled.data.rename(aside)
    expect_refusals(filled)
    aside.rename(filled.data)
    assert filled.request("GET", "/readyz").status == 200
    assert filled.api("PUT", "actions/fresh", BODY).status == 200
    assert filled.invoke("fresh")["response"]["result"] == {"hello": "you"}


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_a_lost_file_of_the_database_is_noticed(filled: GatewayProcess, suffix: str) -> None:
    (filled.data / f"hotwhisk.db{suffix}").unlink()
    expect_refusals(filled)


def test_what_servers_need_is_made_again_for_the_owner_alone(filled: GatewayProcess) -> None:
    run = filled.data / "run"
    shutil.rmtree(run)
    filled.create("hello", HELLO + "# changed\n")
    assert filled.invoke("hello")["response"]["result"] == {"hello": "you"}
    filled.create("other", HELLO)
    assert filled.invoke("other")["response"]["result"] == {"hello": "you"}
    assert modes(run) == {0o700}


def test_a_server_makes_no_folder_for_others(filled: GatewayProcess, tmp_path: Path) -> None:
    filled.data.rename(tmp_path / "aside")
    answer = filled.request("POST", "/api/v1/namespaces/_/actions/hello?blocking=true", {})
    assert answer.status == 503
    assert not filled.data.exists()


def modes(folder: Path) -> set[int]:
    """Return the rights of a folder and of those in it."""
    found = (folder, *(each for each in folder.iterdir() if each.is_dir()))
    return {stat.S_IMODE(each.stat().st_mode) for each in found}
