"""The image for functions of AWS Lambda runs a function, with as few rights as the others have."""

from __future__ import annotations

import uuid

import pytest

from tests.support.runtime_api import Platform
from tests.support.server import ROOT

from .container import HARDENED, SLIM, derived, docker

LAMBDA = "hotwhisk-test:lambda"
FUNCTION = "def handler(event, context): return [event, __file__]"


@pytest.fixture(scope="module")
def function() -> str:
    """Build the image, and upon it that of a function."""
    containerfile = (ROOT / "packaging" / "lambda.Containerfile").read_bytes()
    base = f"--build-arg=BASE={SLIM}"
    docker("build", "--quiet", "--tag", LAMBDA, base, "-", content=containerfile)
    copy = f"RUN echo '{FUNCTION}' >app.py"
    return derived(LAMBDA, "function", "USER root", copy, "USER 65534", 'CMD ["app.handler"]')


def test_a_function_runs_in_the_image(function: str) -> None:
    name = f"hotwhisk-test-{uuid.uuid4().hex}"
    with Platform() as platform:
        api = f"AWS_LAMBDA_RUNTIME_API={platform.address}"
        docker("run", "--detach", f"--name={name}", "--network=host", *HARDENED, f"--env={api}", function)  # fmt: skip
        try:
            assert platform.call({"name": "Ada"}).json == [{"name": "Ada"}, "/var/task/app.py"]
        finally:
            docker("rm", "--force", name)
