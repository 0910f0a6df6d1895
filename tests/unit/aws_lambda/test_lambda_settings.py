"""Settings come from what Lambda sets; what is missing or wrong is refused with the next step."""

from __future__ import annotations

import re

import pytest

from hotwhisk.aws_lambda.lambda_settings import LambdaSettings, read_settings
from hotwhisk.config.option import Address
from hotwhisk.errors import UsageError

API = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001"}


def test_little_is_needed() -> None:
    assert read_settings("app.handler", API) == LambdaSettings(
        "app.handler", Address("127.0.0.1", 9001)
    )


def test_a_built_file_states_its_handler_itself() -> None:
    environ = {**API, "_HANDLER": "lambda"}  # the emulator's name for `./hello lambda`
    assert read_settings(None, environ, "/hello").handler == ""
    assert read_settings("app.handler", environ, "/hello").handler == "app.handler"
    with pytest.raises(UsageError, match="aws-lambda-rie hotwhisk lambda --artifact /hello"):
        read_settings(None, {}, "/hello")


def test_everything_is_read() -> None:
    environ = {
        **API,
        "_HANDLER": "app.handler",
        "LAMBDA_TASK_ROOT": "/var/task",
        "AWS_LAMBDA_MAX_CONCURRENCY": "16",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
        "AWS_LAMBDA_LOG_FORMAT": "Json",
        "_LAMBDA_TELEMETRY_LOG_FD_PROVIDER_SOCKET": "/tmp/log.sock",
        "_LAMBDA_TELEMETRY_LOG_FD": "62",
    }
    assert read_settings(None, environ) == LambdaSettings(
        handler="app.handler",
        api=Address("127.0.0.1", 9001),
        task_root="/var/task",
        concurrency=16,
        has_snapshots=True,
        json_log=True,
        log_socket="/tmp/log.sock",
        log_descriptor=62,
    )


def test_the_argument_is_used_before_the_variable() -> None:
    assert read_settings("a.b", {**API, "_HANDLER": "c.d"}).handler == "a.b"


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "hotwhisk lambda app.handler"),
        ({"_HANDLER": "my.function"}, "aws-lambda-rie hotwhisk lambda my.function"),
        ({"_HANDLER": "a.b", "AWS_LAMBDA_RUNTIME_API": "here"}, 'expected HOST:PORT, got "here"'),
        (
            {"_HANDLER": "a.b", **API, "AWS_LAMBDA_MAX_CONCURRENCY": "0"},
            "a whole number of at least 1",
        ),
    ],
)
def test_what_is_missing_or_wrong_is_refused(environ: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        read_settings(None, environ)
