"""Limits that an action sets on its own process do not limit the next version."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.process import actions, control
from tests.support.client import Connection, init_once, run_once
from tests.support.server import Server

pytestmark = pytest.mark.slow

LIMITS = {
    "no file may grow": "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))",
    "no process": "resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))",
    "no core": "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))",
    "no locked memory": "resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))",
    "no rights for new files": "os.umask(0o777)",
    "another folder": "os.chdir('/')",
    "a folder that is gone": "os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')",
    "a closed output": "os.close(1); os.close(2)",
    "all signals blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())",
    "low priority": "os.nice(19)",
}
SOURCE = "import os, resource, signal\n"
IN_HANDLER = SOURCE + "def main(event):\n    {}\n    return {{}}\n"
IN_IMPORT = SOURCE + "{}\ndef main(event): return {{}}\n"
PADDING = "#" + "x" * 300_000 + "\n"


def limited(limit: str, where: str) -> str:
    return where.format(LIMITS[limit])


@pytest.mark.parametrize("where", [IN_HANDLER, IN_IMPORT], ids=["handler", "import"])
@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("padding", ["", PADDING], ids=["small", "large"])
def test_a_limit_of_an_action_is_none_of_the_version_after_it(
    server: Server, limit: str, where: str, padding: str
) -> None:
    server.post(limited(limit, where))
    with Connection(server.address) as kept:
        assert kept.run({}).status == 200
        for number in (2, 3):
            response = kept.init(actions.plain(number) + padding)
            assert response.status == 200, (response, server.stderr())
            assert kept.run({}).value("version") == number
            assert init_once(server.address, limited(limit, where)).status == 200
            assert kept.run({}).status == 200
    assert control.status(server)["deaths"] == []


def test_it_takes_one_bad_version_after_the_other(server: Server) -> None:
    server.post(limited("no file may grow", IN_HANDLER))
    assert run_once(server.address, {}).status == 200
    with Connection(server.address) as kept:
        for _ in range(5):
            assert kept.init("def main(:\n" + PADDING).status == 502
            assert kept.run({}).status == 200
        assert kept.run({"text": "x" * 2_000_000}).status == 200
        assert kept.init(actions.plain(2) + PADDING).status == 200
        assert kept.run({}).value("version") == 2
    assert control.status(server)["deaths"] == []


def test_so_do_files_that_are_served(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(limited("no file may grow", IN_IMPORT))
    with Server(str(tmp_path / "hello.py")) as server:
        assert run_once(server.address, {}).status == 200
        assert control.status(server)["generation"]["number"] == 1
        os.kill(control.pid(server, "serving"), 9)
        control.wait_until(server, lambda _: run_once(server.address, {}).status == 200, "it")
