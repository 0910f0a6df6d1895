"""One built file in the places of docs/everywhere.md that need more than a shell."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE
from urllib.request import urlopen

import pytest

from hotwhisk.build import build
from hotwhisk.worker.event_requests import READINESS
from tests.support.client import init_once, run_once
from tests.support.lambda_emulator import CALLS_PORT, SECONDS, Emulator
from tests.support.runtime_api import Platform, Runtime
from tests.support.server import ROOT
from tests.support.transcript import WITH_EMULATOR, Transcript, transcripts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # the emulator may have to be built

PAGE = (ROOT / "docs" / "everywhere.md").read_text(encoding="utf-8")
KNATIVE = (ROOT / "packaging" / "knative" / "Containerfile").read_text(encoding="utf-8")
PYTHONS = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
"""Where the first line of a built file finds its Python."""


@pytest.fixture(scope="module")
def hello(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("built") / "hello"
    build(ROOT / "examples" / "hello.py", output)
    return output


def words_of(instruction: str, image: str) -> list[str]:
    """Return the words of an instruction of an image."""
    (found,) = re.findall(rf"^{instruction} (\[.*\])$", image, re.MULTILINE)
    words: list[str] = json.loads(found)
    return words


@pytest.mark.parametrize(
    "transcript", list(transcripts(WITH_EMULATOR)), ids=lambda each: str(each.line)
)
def test_the_lines_for_lambda_are_what_happens(
    hello: Path, tmp_path: Path, transcript: Transcript
) -> None:
    (start, _), *steps = transcript.steps
    emulator, program, *rest = shlex.split(start.removesuffix(" &"))
    assert (emulator, program) == ("aws-lambda-rie", "./hello")
    (tmp_path / ".curlrc").write_text("silent\nshow-error\n", encoding="utf-8")
    command = [str(hello), *rest]
    with Emulator("", runtime=command, handler="", PATH=PYTHONS, PYTHONPATH="") as started:
        started.connect().close()
        for line, expected in steps:
            typed = line.replace("localhost:8080", f"{started.host}:{CALLS_PORT}")
            env = {**os.environ, "CURL_HOME": str(tmp_path)}
            printed = subprocess.check_output(["bash", "-c", typed], env=env, text=True)
            assert printed.splitlines() == expected, started.log


def test_the_command_of_the_image_for_lambda_is_a_runtime(hello: Path) -> None:
    program, *rest = words_of("ENTRYPOINT", PAGE)
    assert program == "/hello"
    with Platform() as platform:
        runtime = Runtime(platform, "", handler="", PATH=PYTHONS, PYTHONPATH="")
        runtime.command = [str(hello), *rest]
        with runtime:
            assert platform.call({"name": "Mike"}).json == {"greetings": "Hello, Mike"}


def test_the_command_of_the_image_for_knative_serves_on_all_addresses_at_its_port(
    hello: Path,
) -> None:
    program, words = words_of("ENTRYPOINT", KNATIVE), words_of("CMD", KNATIVE)
    assert program == ["/action"]
    assert shlex.join(["./hello", *words]) in PAGE
    # What Knative sets. Port 0 is any free one.
    env = {**os.environ, "PATH": PYTHONS, "PYTHONPATH": "", "PORT": "0", "K_SERVICE": "hello"}
    env["HOTWHISK_RUN_DIR"] = str(hello.parent / "run")
    with subprocess.Popen([str(hello), *words], env=env, stderr=PIPE, text=True) as process:
        try:
            said = next(line for line in process.stderr or () if "serving on" in line)
            port = int(re.findall(r"//0\.0\.0\.0:(\d+)", said)[0])
            address = ("127.0.0.2", port)  # only who listens on all addresses has this one
            with urlopen(f"http://127.0.0.2:{port}{READINESS}", timeout=SECONDS) as response:
                assert response.status == 200
            assert run_once(address, {"name": "Mike"}).json() == {"greetings": "Hello, Mike"}
            assert init_once(address, "def main(event): return {}").status == 403
        finally:
            process.terminate()
