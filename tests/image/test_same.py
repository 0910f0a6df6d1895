"""
The image is the same runtime as ``serve --openwhisk`` on the machine: the conformance kit passes
against it whole, and the actions of the corpus differ in nothing.
"""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.process import test_corpus as corpus
from tests.support.server import ROOT

from .container import COMPAT, PRELOAD, docker, with_index

SERVE = f"{sys.executable} -m hotwhisk serve --openwhisk --host 127.0.0.1 --port {{port}}"
SUBNET = ("network", "inspect", "--format={{(index .IPAM.Config 0).Subnet}}", "bridge")
MAY_DIFFER = (
    r"\[Previous line repeated \d+ more times\]",  # how deep the server itself is in the stack
)


class Caller(corpus.Answer):
    """
    Counts for each caller anew: what one side had asked is not the other's history.
    """

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        server = self.server.of(self.client_address[0])  # type: ignore[attr-defined]
        self.server, own = server, self.server
        try:
            super().do_GET()
        finally:
            self.server = own


class Bridged(ThreadingHTTPServer):
    """
    The server that actions call, where containers and this machine both reach it.
    """

    daemon_threads = True

    def __init__(self) -> None:
        gateway = ipaddress.ip_network(docker(*SUBNET))[1]
        super().__init__((str(gateway), 0), Caller)
        self.url = f"http://{gateway}:{self.server_port}"
        self.callers: dict[str, corpus.Neighbour] = {}
        self.lock = threading.Lock()

    def of(self, address: str) -> corpus.Neighbour:
        with self.lock:
            if address not in self.callers:
                self.callers[address] = corpus.Neighbour()
            return self.callers[address]

    def server_close(self) -> None:
        super().server_close()
        for each in self.callers.values():
            each.server_close()


@pytest.mark.timeout(400)
def test_compat_passes_the_cases_for_python(tmp_path: Path) -> None:
    """
    `test_kit_image.py` tries all profiles on slim. Compat asks programs to say themselves that
    they are ready, as the official image does, so those of the profile actionloop are not for it.
    """
    report = tmp_path / "junit.xml"
    done = subprocess.run(
        [
            sys.executable, "-m", "hotwhisk_conformance", "--image", with_index(COMPAT),
            "--profile", "python", "--junit", str(report), "--timeout", "60",
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT / "conformance" / "src")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    found = ET.parse(report).getroot().iter("testcase")
    passed = [case for case in found if case.find("skipped") is None]
    assert len(passed) >= 27, done.stdout[-4000:]


@pytest.fixture
def neighbour() -> Iterator[Bridged]:
    with Bridged() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def posted(case: Path, work: Path) -> Path:
    """
    The file or folder that the user of this action posts, by the name of the action.
    """
    if (case / "zip").exists():
        return corpus.zipped(case, work / f"{case.name}.zip")
    if (case / "action.py").exists():
        return Path(shutil.copy(case / "action.py", work / f"{case.name}.py"))
    folder = work / case.name
    shutil.copytree(case / "action", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for source in sorted((case / "source").glob("*.c")):
        corpus.compile_extension(source, folder)
    return folder


@pytest.mark.timeout(120)
@pytest.mark.parametrize("case", corpus.CASES, ids=lambda case: case.name)
def test_an_action_differs_in_nothing(case: Path, tmp_path: Path, neighbour: Bridged) -> None:
    wanted = json.loads((case / "events.json").read_text(encoding="utf-8"))
    events = tmp_path / "events.json"
    text = json.dumps([each["event"] for each in wanted["activations"]])
    events.write_text(text.replace("{server}", neighbour.url), encoding="utf-8")
    run_dir = tmp_path / "run"
    run_dir.mkdir(mode=0o700)
    command = [sys.executable, "-m", "hotwhisk", "compare", "--old", SERVE, "--new", PRELOAD]
    command += ["--events", str(events), "--main", wanted.get("main", "main")]
    for pattern in MAY_DIFFER:
        command += ["--ignore", pattern]
    done = subprocess.run(
        [*command, str(posted(case, tmp_path))],
        env={**os.environ, "HOTWHISK_RUN_DIR": str(run_dir)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
