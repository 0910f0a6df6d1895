"""A built file as a function of AWS Lambda, against the stand-in for the platform."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hotwhisk.build import build
from tests.support.runtime_api import SECONDS, Platform, Runtime

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

Start = Callable[..., tuple[Platform, Runtime]]

PLAIN = """\
import os
from helper import double

def main(event):
    if event.get("kill"):
        os.kill(os.getpid(), 9)
    return {"doubled": double(event["number"])}
"""
HELPER = """\
def double(number):
    return 2 * number

def handler(event, context=None):
    return context.aws_request_id
"""
ASYNC = """\
import hotwhisk

async def main(event, context):
    return context.aws_request_id

if __name__ == "__main__":
    hotwhisk.start(main)
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Build a source, and start the file as the command of an image is started."""
    with ExitStack() as stack:

        def begin(source: str, handler: str = "", **variables: str) -> tuple[Platform, Runtime]:
            folder = tmp_path / "source"
            folder.mkdir()
            (folder / "__main__.py").write_text(source, encoding="utf-8")
            (folder / "helper.py").write_text(HELPER, encoding="utf-8")
            build(folder, tmp_path / "built")
            platform = stack.enter_context(Platform())
            runtime = Runtime(platform, "", handler, **variables)
            # -I, so that the hotwhisk that runs is the one in the file.
            runtime.command = [sys.executable, "-I", str(tmp_path / "built"), "lambda"]
            return platform, stack.enter_context(runtime)

        yield begin


def test_the_handler_that_the_build_named_gets_events_and_a_killed_process_is_replaced(
    start: Start,
) -> None:
    # The emulator sets what ends the command.
    platform, runtime = start(PLAIN, _HANDLER="lambda")
    assert platform.call({"number": 4}).json == {"doubled": 8}, runtime.log
    assert platform.call({"kill": True}).json["errorType"] == "Runtime.ExitError"
    assert platform.call({"number": 5}).json == {"doubled": 10}, runtime.log
    stack = platform.call({"number": None}).json["stackTrace"]
    assert [frame.splitlines()[0].rpartition(", ")[2] for frame in stack] == [
        "in main",
        "in double",
    ]


def test_a_handler_that_requires_the_context_gets_that_of_lambda(start: Start) -> None:
    platform, _ = start(ASYNC, AWS_LAMBDA_MAX_CONCURRENCY="2")
    platform.wait_polls(2)
    outcomes = [platform.send({}) for _ in range(4)]
    assert sorted(each.result(SECONDS).json for each in outcomes) == [
        f"request-{number}" for number in range(1, 5)
    ]


def test_a_handler_that_is_named_is_called_as_lambda_does(start: Start) -> None:
    platform, _ = start(PLAIN, "helper.handler")
    assert platform.call({}).json == "request-1"


def test_what_does_not_load_is_the_error_of_the_start(start: Start) -> None:
    platform, runtime = start("import absent\n\ndef main(event): ...\n")
    posted = platform.posted.get(timeout=SECONDS).json
    assert posted["errorType"] == "Runtime.ImportModuleError"
    assert "No module named 'absent'" in posted["errorMessage"]
    assert runtime.wait_end() == 1


def test_a_file_that_was_not_built_is_the_error_of_the_start(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(HELPER, encoding="utf-8")
    with Platform() as platform:
        runtime = Runtime(platform, "", str(tmp_path / "app.py"))
        runtime.command.append("--artifact")
        with runtime:
            posted = platform.posted.get(timeout=SECONDS).json
    assert "expected a file that hotwhisk build has made" in posted["errorMessage"]
