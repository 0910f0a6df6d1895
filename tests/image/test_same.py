"""
Compare the image with ``serve --openwhisk`` on the machine: the corpus must give no difference.

Every action is run on both sides by ``hotwhisk compare``, in one call for all that need the same
handler name, programs and variables. The image is what a user of these actions would make of
`slim`: the libraries that they find there, and the programs that they need.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.corpus import (
    PACKAGES,
    REQUIREMENTS,
    Exported,
    FakeService,
    cases,
    export,
    python,
)  # fmt: skip

from .container import SLIM, derived, docker, python_of, with_index

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # the first action waits for all

SUBNET = ("network", "inspect", "--format={{(index .IPAM.Config 0).Subnet}}", "bridge")
MAY_DIFFER = (
    r"\[Previous line repeated \d+ more times\]",  # how deep in the stack the server itself is
    r'File "<frozen \w+>", line \d+',  # two patch releases of one Python
)

RUNS = [
    pytest.param(case.name, variables, id="-".join((case.name, *variables)))
    for case in cases()
    for variables in case.runtimes
]


@pytest.fixture(scope="session")
def corpus_image() -> str:
    """Return `slim` with what actions of the corpus find in their image."""
    ours, theirs = f"{sys.version_info[0]}.{sys.version_info[1]}", python_of(SLIM)
    assert ours == theirs, f"this Python builds the corpus: PYTHON_VERSION={ours} ./run image-test"
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    libraries = shlex.join(line for line in lines if not line.startswith("#"))
    programs = " ".join(sorted({PACKAGES[program] for case in cases() for program in case.needs}))
    install = "apt-get install -qq --no-install-recommends"
    return derived(
        with_index(SLIM), "corpus", "USER root",
        f"RUN apt-get update -qq && {install} {programs} >/dev/null",
        f"RUN pip install --quiet --root-user-action=ignore {libraries}",
        "USER 65534:0",
    )  # fmt: skip


@pytest.fixture(scope="session")
def said(corpus_image: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the text of compare for each action, by its name and the variables of its runtime."""
    folder = tmp_path_factory.mktemp("corpus")
    gateway = str(ipaddress.ip_network(docker(*SUBNET))[1])  # both sides reach it
    told: dict[str, str] = {}
    with FakeService(gateway).serving() as service:
        for group in export(folder, f"http://{gateway}:{service.server_port}"):
            output = compare(corpus_image, group, folder)
            *actions, _ = re.split(r"\n(?! )", output)  # details are indented; the sum is last
            told |= {f"{text.partition(':')[0]} {group.variables}": text for text in actions}
    return told


def compare(image: str, group: Exported, folder: Path) -> str:
    settings = [f"ENV {name}={text}" for name, text in group.variables.items()]
    image = derived(image, "corpus-setting", *settings)
    run_dir = folder / "run"
    run_dir.mkdir(mode=0o700, exist_ok=True)
    serve = f"{python()} -m hotwhisk serve --openwhisk --host 127.0.0.1 --port {{port}}"
    command = [sys.executable, "-m", "hotwhisk", "compare", "--old", serve, "--new", image]
    done = subprocess.run(
        [*command, *(f"--ignore={each}" for each in MAY_DIFFER), *group.arguments()],
        env={**os.environ, **group.variables, "HOTWHISK_RUN_DIR": str(run_dir)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(("name", "variables"), RUNS)
def test_an_action_differs_in_nothing(
    name: str, variables: dict[str, str], said: dict[str, str]
) -> None:
    told = said[f"{name} {variables}"]
    # Some of the actions fail on purpose, and then on both sides.
    assert told.splitlines()[0] in (f"{name}: same", f"{name}: same, and both failed"), told
