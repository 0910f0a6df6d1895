"""Images of actions for AWS Lambda and Knative are built as the pages say, and serve."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.client import init_once, run_once
from tests.support.runtime_api import Platform
from tests.support.server import ROOT

from .artifact import build
from .container import SLIM, Container, docker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

FUNCTION = "def handler(event, context):\n    return [event, context.aws_request_id]\n"
ACTION = "def main(event):\n    return {'got': event}\n"


def block(page: str) -> str:
    """Return the Dockerfile in a page."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    (found,) = re.findall(r"^```dockerfile\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return str(found)


def image_of(folder: Path, name: str, content: str, base: str) -> str:
    """Build an image from a folder by a Dockerfile, on another base; return its name."""
    (folder / "Dockerfile").write_text(re.sub(r"(?m)^FROM .*$", f"FROM {base}", content))
    tag = f"hotwhisk-test:{name}"
    docker("build", "--quiet", "--tag", tag, str(folder))
    return tag


def answer_in_lambda(image: str, event: object) -> object:
    """Start an image as Lambda does, with one event; return what was posted for it."""
    with Platform() as platform:
        api = f"--env=AWS_LAMBDA_RUNTIME_API={platform.address}"
        with Container(image, "--network=host", api):
            return platform.call(event).json


def test_the_image_for_lambda_handles_events_of_a_function_in_a_folder(tmp_path: Path) -> None:
    base = "hotwhisk-test:lambda-base"
    file = ROOT / "packaging" / "lambda.Containerfile"
    docker(
        "build", "--quiet", f"--build-arg=BASE={SLIM}", f"--file={file}", f"--tag={base}", str(ROOT)
    )
    (tmp_path / "app.py").write_text(FUNCTION, encoding="utf-8")
    image = image_of(tmp_path, "lambda", block("lambda.md"), base)
    assert answer_in_lambda(image, {"a": 1}) == [{"a": 1}, "request-1"]


def test_one_built_file_is_the_command_of_images_for_lambda_and_knative(tmp_path: Path) -> None:
    built = build(tmp_path / "build", ACTION)
    context = tmp_path / "context"
    context.mkdir()
    for name in ("hello", "action"):  # what the images call it
        (context / name).hardlink_to(built)
    image = image_of(context, "lambda-artifact", block("everywhere.md"), SLIM)
    assert answer_in_lambda(image, {"a": 1}) == {"got": {"a": 1}}
    knative = (ROOT / "packaging" / "knative" / "Containerfile").read_text(encoding="utf-8")
    image = image_of(context, "knative", knative, SLIM)
    with Container(image, "--env=PORT=8080", "--env=K_SERVICE=hello") as container:
        assert run_once(container.address, {"a": 1}).json() == {"got": {"a": 1}}
        assert init_once(container.address, ACTION).status == 403
