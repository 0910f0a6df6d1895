"""
Files for operators: OpenWhisk's manifest and the units of systemd.

The rules of the manifest are those of the platform's reader (core/entity/ExecManifest.scala).
systemd's own tool checks the units, and a server runs under their filter of system calls.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import hotwhisk
from hotwhisk.gateway.options import OPTIONS
from hotwhisk.gateway.stopping import ANSWER_SECONDS
from tests.prove.outcome import Proof
from tests.prove.registry import BY_NAME
from tests.structure.source import ROOT
from tests.support.client import run_once
from tests.support.gateway import HOTWHISK_UP, GatewayProcess
from tests.support.server import HOTWHISK, Server

PACKAGING = ROOT / "packaging"

# -- the manifest of OpenWhisk -----------------------------------------------------------------

MANIFEST = json.loads((PACKAGING / "openwhisk" / "runtimes.json").read_text(encoding="utf-8"))
KINDS = [(family, kind) for family, kinds in MANIFEST["runtimes"].items() for kind in kinds]
OFFICIAL = {  # beside what it is merged into: one default in each family
    "kind": "python:3",
    "default": True,
    "deprecated": False,
    "image": {"prefix": "openwhisk", "name": "action-python-v3.11", "tag": "nightly"},
}
KNOWN = {
    "kind": str, "image": dict, "deprecated": bool, "default": bool, "attached": dict,
    "requireMain": bool, "sentinelledLogs": bool, "stemCells": list,
}  # fmt: skip
COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"


def duration(text: str) -> float:
    """Return the seconds of a text for Scala's ``Duration``, in the units that are of use here."""
    number, unit = re.fullmatch(r"(\d+) ?(\w+)", text).groups()  # type: ignore[union-attr]
    units = {"millis": 0.001, "second": 1, "minute": 60, "hour": 3600, "day": 86400}
    return int(number) * units[unit if unit == "millis" else unit.removesuffix("s")]


def check_stem_cell(cell: dict[str, Any]) -> None:
    assert set(cell) <= {"initialCount", "memory", "reactive"}
    assert cell["initialCount"] > 0
    assert re.fullmatch(r"\d+ ?(B|K|KB|M|MB|G|GB)", cell["memory"])
    if "reactive" in cell:
        reactive = cell["reactive"]
        assert set(reactive) == {"minCount", "maxCount", "ttl", "threshold", "increment"}
        assert 0 <= reactive["minCount"] <= reactive["maxCount"]
        assert reactive["maxCount"] > 0
        assert duration(reactive["ttl"]) > 0
        assert reactive["threshold"] > 0
        assert 0 < reactive["increment"] <= reactive["maxCount"]


def check_manifest(manifest: dict[str, Any]) -> None:
    """Refuse what the platform refuses to start with, and what it would read as something else."""
    names = []
    for family, kinds in manifest["runtimes"].items():
        assert re.fullmatch(r"[a-z0-9]+", family)  # or FAMILY:default finds nothing
        for kind in kinds:
            assert {"kind", "image"} <= set(kind) <= set(KNOWN)
            assert all(isinstance(value, KNOWN[key]) for key, value in kind.items())
            names.append(kind["kind"])
            assert kind["kind"] == family or kind["kind"].startswith(f"{family}:")
            image = kind["image"]
            assert {"name"} <= set(image) <= {"registry", "prefix", "name", "tag"}
            assert re.fullmatch(COMPONENT, image["name"])
            assert re.fullmatch(rf"{COMPONENT}(/{COMPONENT})*", image.get("prefix", "a"))
            assert re.fullmatch(r"\w[\w.-]{0,127}", image.get("tag", "latest"))
            if "attached" in kind:
                assert set(kind["attached"]) == {"attachmentName", "attachmentType"}
            for cell in kind.get("stemCells", []):
                check_stem_cell(cell)
        defaults = [kind["kind"] for kind in kinds if kind.get("default")]
        assert len(defaults) == 1 or (not defaults and len(kinds) == 1), defaults
    assert len(names) == len(set(names))


def test_the_fragment_merged_into_a_manifest_is_one() -> None:
    merged = {"runtimes": {"python": [OFFICIAL, *MANIFEST["runtimes"]["python"]]}}
    check_manifest(merged)


def test_the_manifest_names_the_images_that_run_image_makes(tmp_path: Path) -> None:
    docker = tmp_path / "docker"  # records what it is asked for
    docker.write_text('#!/bin/sh\n[ "$1" = build ] && printf "%s\\n" "$@" >>"$TAGS"\nexit 0\n')
    docker.chmod(0o755)
    made = set()
    for library in sorted((PACKAGING / "libraries").glob("openwhisk-*.txt")):
        tags = tmp_path / library.name
        script = f"python={sys.executable}; source packaging/engine; build_images compat"
        env = {
            **os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "TAGS": str(tags),
            "BASE": "any", "PYTHON_VERSION": library.stem.removeprefix("openwhisk-"),
        }  # fmt: skip
        subprocess.run(["bash", "-euc", script], cwd=ROOT, env=env, check=True, capture_output=True)
        words = tags.read_text().splitlines()
        made |= {after for word, after in pairwise(words) if word == "--tag"}
    images = [kind["image"] for _, kind in KINDS]
    assert images
    assert {"{prefix}/{name}:{tag}".format(**image) for image in images} <= made
    assert "hotwhisk:compat" in made


def test_the_rules_see_what_is_wrong() -> None:
    good = MANIFEST["runtimes"]["python"][0]
    reactive = good["stemCells"][0]["reactive"]
    for change in (
        {"default": True},
        {"kind": "python:3"},
        {"kind": "nodejs:3"},
        {"image": {"prefix": "hotwhisk"}},
        {"image": {"name": "Capital"}},
        {"attached": {"attachmentName": "codefile"}},
        {"stemCells": [{"initialCount": 0, "memory": "256 MB"}]},
        {"stemCells": [{"initialCount": 1, "memory": "256 MB", "reactive": reactive | {"increment": 9}}]},
        {"unknown": 1},
    ):  # fmt: skip
        with pytest.raises((AssertionError, KeyError)):
            check_manifest({"runtimes": {"python": [OFFICIAL, good | change]}})


def test_no_kind_is_a_default_and_all_are_of_this_version() -> None:
    for family, kind in KINDS:
        assert family == "python"
        assert kind["default"] is False
        assert kind["kind"].endswith("-hotwhisk")
        assert kind["image"]["tag"] == hotwhisk.__version__
        assert kind["image"]["name"].endswith("-compat")  # a stock action must not notice


# -- the units of systemd ----------------------------------------------------------------------

UNITS = [PACKAGING / "systemd" / f"hotwhisk@.{kind}" for kind in ("service", "socket")]
GATEWAY_UNIT = PACKAGING / "systemd" / "hotwhisk-up.service"
MOST_EXPOSURE = 25
"""Tenths: systemd itself calls 2.5 "OK", and most services of a distribution have above 9."""


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze, which Debian has in the package systemd."""
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.fail("systemd-analyze is needed to check the units: apt-get install systemd")
    return subprocess.run([found, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def instances(tmp_path: Path) -> list[Path]:
    """Write the units, those of a port for one port, with a program that exists; return them."""
    made: list[Path] = []
    program = shutil.which("hotwhisk", path=str(Path(sys.executable).parent))
    assert program is not None
    for unit in (*UNITS, GATEWAY_UNIT):
        text = unit.read_text(encoding="utf-8").replace("/opt/hotwhisk/bin/hotwhisk", program)
        made.append(tmp_path / unit.name.replace("@", "@8080"))
        made[-1].write_text(text, encoding="utf-8")
        if made[-1].name != unit.name:
            shutil.copy(made[-1], tmp_path / unit.name)
    return made


def test_systemd_finds_no_fault_with_the_units(instances: list[Path]) -> None:
    done = analyze("verify", "--man=no", *map(str, instances))
    mine = [line for line in done.stderr.splitlines() if "hotwhisk" in line]
    assert not mine
    assert done.returncode == 0, done.stderr


def test_a_fault_would_be_found(instances: list[Path]) -> None:
    text = instances[0].read_text(encoding="utf-8")
    instances[0].write_text(text.replace("Type=notify", "Type=notfy"), encoding="utf-8")
    done = analyze("verify", "--man=no", *map(str, instances))
    assert any("hotwhisk" in line and "notfy" in line for line in done.stderr.splitlines())


def test_the_services_are_little_exposed(instances: list[Path]) -> None:
    for unit in (instances[0], instances[2]):
        done = analyze(
            "security", "--offline=true", f"--threshold={MOST_EXPOSURE}", "--no-pager", str(unit)
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr


def test_the_units_fit_the_server() -> None:
    service, socket = (unit.read_text(encoding="utf-8") for unit in UNITS)
    assert "Type=notify\n" in service
    assert "OOMPolicy=continue\n" in service
    assert socket.count("\nListenStream=") == 1  # the server takes one
    stop = int(re.search(r"TimeoutStopSec=(\d+)", service)[1])  # type: ignore[index]
    assert stop > 25 + 2  # --drain-timeout and the parting


def test_the_unit_of_the_gateway_fits_it() -> None:
    unit = GATEWAY_UNIT.read_text(encoding="utf-8")
    stop = int(re.search(r"TimeoutStopSec=(\d+)", unit)[1])  # type: ignore[index]
    drain = next(float(each.default) for each in OPTIONS if each.name == "drain_timeout")
    assert stop > drain + 2 * ANSWER_SECONDS
    assert "Type=notify\n" in unit
    assert "OOMPolicy=continue\n" in unit
    assert "Delegate=memory pids\n" in unit
    assert "\nProtectControlGroups=" not in unit
    own = set(re.findall(r"^SystemCallFilter=.*$", unit, re.MULTILINE))
    of_one_action = UNITS[0].read_text(encoding="utf-8")
    assert own == set(re.findall(r"^SystemCallFilter=.*$", of_one_action, re.MULTILINE))


def system_calls(expression: str) -> set[str]:
    """Return the system calls in a group of systemd's, also those of groups within it."""
    names: set[str] = set()
    done = analyze("syscall-filter", "--no-pager", expression)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            names |= system_calls(word)
        elif word and not word.startswith("#"):
            names.add(word)
    return names


@pytest.fixture(scope="module")
def permitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the system calls that the unit permits, one a line; return the file."""
    names: set[str] = system_calls("@default")
    text = UNITS[0].read_text(encoding="utf-8")
    for given in re.findall(r"^SystemCallFilter=(.*)$", text, re.MULTILINE):
        for word in given.removeprefix("~").split():
            members = system_calls(word) if word.startswith("@") else {word}
            names = names - members if given.startswith("~") else names | members
    assert "membarrier" in names
    assert "mount" not in names
    path = tmp_path_factory.mktemp("filter") / "permitted"
    path.write_text("\n".join(sorted(names | {"execve"})), encoding="ascii")
    return path


class Confined(Server):
    """A server that may make only those system calls, like all processes that it starts."""

    def __init__(self, permitted: Path, *arguments: str, nofile: int = 0) -> None:
        shim = (sys.executable, str(ROOT / "tests" / "support" / "seccomp.py"))
        command = (*shim, "allow", "EPERM", str(permitted), *HOTWHISK, *arguments)
        super().__init__(command=command, nofile=nofile)

    def _environment(self) -> dict[str, str]:
        return super()._environment() | {"HOTWHISK_RUN_DIR": str(self.run_dir)}


IN_UNIT = ("replacement", "moved-stuck", "death", "bad-versions", "stop")


@pytest.mark.slow
@pytest.mark.parametrize("proof", [BY_NAME[name] for name in IN_UNIT], ids=IN_UNIT)
def test_the_promises_hold_under_the_filter_of_the_unit(permitted: Path, proof: Proof) -> None:
    with Confined(permitted, *proof.serve, nofile=proof.nofile) as server:
        outcome = proof.function(server, **proof.short)
        assert outcome.holds, "\n".join([outcome.done, outcome.result, *outcome.problems])


ORDINARY = """\
import asyncio, hashlib, multiprocessing, os, sqlite3, ssl, subprocess, tempfile, threading

def twice(number):
    return 2 * number

def main(event):
    with tempfile.NamedTemporaryFile() as file, sqlite3.connect(file.name) as base:
        base.execute("create table t (a)")
    said = subprocess.run(["echo", "hello"], capture_output=True, text=True, check=True).stdout
    with multiprocessing.get_context("fork").Pool(2) as pool:
        doubled = pool.map(twice, [1, 2, 3])
    thread = threading.Thread(target=ssl.create_default_context)
    thread.start()
    thread.join()
    try:
        os.chroot("/")
        refused = False
    except PermissionError:
        refused = True
    return {"said": said, "doubled": doubled, "refused": refused}
"""


@pytest.mark.slow
def test_an_ordinary_action_runs_under_the_filter_of_the_unit(permitted: Path) -> None:
    with Confined(permitted) as server:
        server.post(ORDINARY)
        assert run_once(server.address, {}).json() == {
            "said": "hello\n",
            "doubled": [2, 4, 6],
            "refused": True,
        }


@pytest.mark.slow
def test_the_gateway_runs_actions_under_the_filter_of_its_unit(permitted: Path) -> None:
    shim = (sys.executable, str(ROOT / "tests" / "support" / "seccomp.py"))
    command = (*shim, "allow", "EPERM", str(permitted), *HOTWHISK_UP)
    with GatewayProcess(command=command) as gateway:
        gateway.create("ordinary", ORDINARY)
        result = gateway.invoke("ordinary")["response"]["result"]
        assert result == {"said": "hello\n", "doubled": [2, 4, 6], "refused": True}


# -- the libraries of the compat image ------------------------------------------------------

LISTS = sorted((PACKAGING / "libraries").glob("*.txt"))


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_a_list_of_libraries_has_each_once_and_says_why_one_is_not_the_originals(
    path: Path,
) -> None:
    named = []
    for line in path.read_text(encoding="utf-8").splitlines():
        requirement, _, _ = line.partition("  # ")
        name, _, version = requirement.partition("==")
        assert re.fullmatch(r"[A-Za-z0-9_-]+(\[[a-z]+\])?", name), line
        assert not version or re.fullmatch(r"[0-9.]+", version), line
        named.append(name.partition("[")[0].lower().replace("_", "-"))
    assert len(named) == len(set(named))


def test_both_platforms_have_a_list_for_the_newest_python_that_they_have_an_image_for() -> None:
    assert {"openwhisk-3.12", "openserverless-3.13"} <= {path.stem for path in LISTS}
