"""What is in the image and what is not: paths, rights, names, libraries."""

from __future__ import annotations

import json

import pytest

from tests.support.client import init_once, run_once

from .container import COMPAT, HARDENED, PRELOAD, SLIM, Container, docker, in_image

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

IMAGES = pytest.mark.parametrize("image", [SLIM, COMPAT, PRELOAD])
OURS = "/ -path /proc -prune -o -path /sys -prune -o -path /dev -prune -o"
BUILD_TOOLS = ("gcc", "cc", "g++", "ld", "as", "make", "dpkg-buildpackage", "git", "curl", "wget")
SECRETS = (
    "( -name id_rsa -o -name .netrc -o -name .pypirc -o -name .git -o -path *of-the-builder* )"
)
CACHES = "( -path */.cache/* -o -path /wheel* -o -path /source* -o -path /libraries* )"


def found(image: str, condition: str) -> list[str]:
    """Return what `find` finds as root, who may look everywhere."""
    words = f"{OURS} {condition} -print".split()
    return in_image(image, "find", *words, options=("--user=0",)).splitlines()


@IMAGES
def test_only_tmp_is_writable_for_who_serves(image: str) -> None:
    # A folder that it may not read it cannot write either: find reports an error there, which is
    # ignored.
    words = f"{OURS} -writable ! -type l -print".split()
    for options in ((), ("--user=12345:0",), ("--user=12345:12345",)):
        listed = docker("run", "--rm", *options, "--entrypoint=find", image, *words, check=False)
        assert listed.splitlines() == ["/tmp"]


@IMAGES
def test_no_user_becomes_another(image: str) -> None:
    assert found(image, "-type f -perm /6000") == []
    assert docker("inspect", "--format={{.Config.User}}", image) == "65534:0"


@IMAGES
def test_no_caches_secrets_or_build_tools(image: str) -> None:
    assert found(image, CACHES) == []
    assert found(image, SECRETS) == []
    assert found(image, "-type f -path /var/lib/apt/lists/* -size +0") == []
    assert found(image, "-type f -path /tmp/*") == []
    for tool in BUILD_TOOLS:
        asked = ("sh", "-c", f"command -v {tool} || true")
        assert in_image(image, *asked) == "", f"{tool} is in the image"
    history = docker("history", "--no-trunc", "--format={{.CreatedBy}}", image)
    assert "PIP_" not in history
    assert "certificates" not in history


@IMAGES
def test_bytecode_is_there_and_cannot_be_written(image: str) -> None:
    sources = found(image, "-path /opt/hotwhisk/lib/hotwhisk/*.py -type f")
    compiled = found(image, "-path /opt/hotwhisk/lib/hotwhisk/*.pyc -type f")
    assert len(sources) == len(compiled) > 50


@IMAGES
def test_hotwhisk_is_where_no_program_looks(image: str) -> None:
    listed = json.loads(in_image(image, "pip", "list", "--format=json"))
    assert "hotwhisk" not in {each["name"] for each in listed}
    asked = "import importlib.util as u; print(u.find_spec('hotwhisk'), u.find_spec('launch'))"
    assert in_image(image, "python", "-c", asked) == "None None"


def test_an_action_does_not_find_our_folder_and_may_bear_our_name() -> None:
    source = (
        "import subprocess, sys, pkgutil\n"
        "def main(event):\n"
        "    child = subprocess.run([sys.executable, '-c', 'import hotwhisk'], capture_output=True)\n"
        "    names = {module.name for module in pkgutil.iter_modules()}\n"
        "    return {'path': [p for p in sys.path if '/opt' in p], 'child': child.returncode,\n"
        "            'seen': 'hotwhisk' in names, 'launch': 'launch' in names}\n"
    )
    with Container() as container:
        assert init_once(container.address, source).status == 200
        expected = {"path": [], "child": 1, "seen": False, "launch": False}
        assert run_once(container.address, {}).json() == expected


def test_it_has_a_faster_json_that_no_action_finds() -> None:
    source = (
        "import importlib.util, sys\n"
        "def main(event):\n"
        "    return {'used': '/orjson' in open('/proc/self/maps').read(),\n"
        "            'found': importlib.util.find_spec('orjson') is not None,\n"
        "            'seen': 'orjson' in sys.modules}\n"
    )
    with Container() as container:
        assert init_once(container.address, source).status == 200
        event = {"rows": [[number, 0.5] for number in range(30_000)]}
        expected = {"used": True, "found": False, "seen": False}
        assert run_once(container.address, event).json() == expected


def test_labels_name_what_it_is() -> None:
    text = docker("inspect", "--format={{json .Config}}", SLIM)
    config = json.loads(text)
    labels = config["Labels"]
    for name in ("title", "description", "version", "revision", "licenses", "base.name"):
        assert labels[f"org.opencontainers.image.{name}"], name
    assert config["StopSignal"] == "SIGTERM"
    assert config["Entrypoint"] == ["/bin/proxy"]
    assert config.get("Healthcheck") is None


def test_without_a_writable_folder_it_says_what_is_missing() -> None:
    options = [each for each in HARDENED if not each.startswith("--tmpfs")]
    with Container(SLIM, *options, hard=False) as container:
        assert container.wait() == 1
        assert "give --run-dir a writable folder" in container.logs()


def test_compat_has_what_a_stock_action_imports() -> None:
    source = (
        "import bs4, dateutil, httplib2, kafka, lxml.etree, netifaces, requests, scrapy, setuptools\n"
        "import simplejson, six, twisted, virtualenv, wheel\n"
        "def main(event):\n    return {'requests': requests.__version__, 'lxml': lxml.__version__}\n"
    )
    with Container(COMPAT) as container:
        assert init_once(container.address, source).status == 200, container.logs()
        assert run_once(container.address, {}).status == 200


def test_preload_has_numpy_in_memory_before_an_action_comes() -> None:
    source = (
        "import sys\nbefore = {'numpy', 'pandas'} <= set(sys.modules)\n"
        "import numpy\nimport pandas\n"
        "def main(event):\n"
        "    frame = pandas.DataFrame({'x': numpy.arange(4)})\n"
        "    return {'before': before, 'sum': int(frame.x.sum())}\n"
    )
    with Container(PRELOAD) as container:
        assert init_once(container.address, source).status == 200
        assert run_once(container.address, {}).json() == {"before": True, "sum": 6}
