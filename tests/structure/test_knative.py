"""The manifest and the image for Knative name what the server has."""

from __future__ import annotations

import json
import re

from hotwhisk.config.config import read_config
from hotwhisk.worker.event_requests import LIVENESS, READINESS
from tests.structure.source import ROOT

FOLDER = ROOT / "packaging" / "knative"
SERVICE = (FOLDER / "service.yaml").read_text(encoding="utf-8")
IMAGE = (FOLDER / "Containerfile").read_text(encoding="utf-8")


def test_the_arguments_of_the_service_are_understood_and_open_the_port() -> None:
    (words,) = re.findall(r"^ +args: (\[.*\])$", SERVICE, re.MULTILINE)
    config = read_config(json.loads(words), {"PORT": "9000"})
    assert config.takes_no_code
    assert (config.host, config.port) == ("0.0.0.0", 9000)
    (longest,) = re.findall(r"timeoutSeconds: (\d+)\n +containers", SERVICE)
    assert config.drain_timeout < float(longest)


def test_the_probes_of_the_service_are_answered() -> None:
    assert re.findall(r"path: (\S+)", SERVICE) == [READINESS, LIVENESS]


def test_the_image_serves_as_the_service_does() -> None:
    (words,) = re.findall(r"^CMD (\[.*\])$", IMAGE, re.MULTILINE)
    assert read_config(json.loads(words), {}).takes_no_code
