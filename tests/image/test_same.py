"""
The image is the same runtime as ``serve --openwhisk`` on the machine: the conformance kit passes
against it whole, and the actions of the corpus differ in nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.process import test_corpus as corpus
from tests.support.server import ROOT

from .container import PRELOAD, SLIM, docker

SERVE = f"{sys.executable} -m hotwhisk serve --openwhisk --port {{port}}"
BRIDGE = ("network", "inspect", "--format={{(index .IPAM.Config 0).Gateway}}", "bridge")


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("profile", "cases"), [("python", 27), ("actionloop", 15)])
def test_the_conformance_kit_passes_whole(
    profile: str, cases: int, indexed: str, tmp_path: Path
) -> None:
    # Programs that do not say themselves that they are ready are for the image without the
    # variable that asks them to; what installs a package needs an index.
    image = indexed if profile == "python" else SLIM
    report = tmp_path / "junit.xml"
    done = subprocess.run(
        [
            sys.executable, "-m", "hotwhisk_conformance", "--image", image,
            "--profile", profile, "--junit", str(report), "--timeout", "60",
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
    assert len(passed) >= cases, done.stdout[-4000:]


@pytest.fixture
def neighbour() -> Iterator[corpus.Neighbour]:
    """
    The server that actions call, where containers and this machine both reach it.
    """
    with corpus.Neighbour(docker(*BRIDGE)) as server:
        with server.serving():
            yield server


@pytest.mark.timeout(120)
@pytest.mark.parametrize("case", corpus.CASES, ids=lambda case: case.name)
def test_an_action_differs_in_nothing(
    case: Path, tmp_path: Path, neighbour: corpus.Neighbour
) -> None:
    wanted = json.loads((case / "events.json").read_text(encoding="utf-8"))
    text = json.dumps([each["event"] for each in wanted["activations"]])
    events = tmp_path / "events.json"
    # What the neighbour counts is counted anew for each side by a path of its own: an event is
    # the same on both, so the counter is the one thing that may differ.
    events.write_text(text.replace("{server}", neighbour.url), encoding="utf-8")
    posted = tmp_path / f"{case.name}.zip"
    if (case / "zip").exists():
        corpus.zipped(case, posted)
    elif (case / "action.py").exists():
        posted = case / "action.py"
    else:
        posted = corpus.folder_of(case, tmp_path)
    command = [sys.executable, "-m", "hotwhisk", "compare", "--old", SERVE, "--new", PRELOAD]
    command += ["--events", str(events), "--main", wanted.get("main", "main")]
    command += ["--ignore", r"\d+\.\d+ ?m?s"]
    done = subprocess.run(
        [*command, str(posted)],
        env={**os.environ, **wanted.get("init", {}), "HOTWHISK_RUN_DIR": str(private(tmp_path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def private(folder: Path) -> Path:
    run_dir = folder / "run"
    run_dir.mkdir(mode=0o700)
    return run_dir
