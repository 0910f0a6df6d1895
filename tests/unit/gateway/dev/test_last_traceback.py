"""Find a traceback in the log of a record."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime
from typing import Any

from hotwhisk.gateway.dev.last_traceback import add_traceback, last_traceback
from hotwhisk.platform.logs import LogLine


def log(text: str, stream: str = "stderr") -> list[str]:
    now = datetime.now(UTC).timestamp()
    return [LogLine(stream, line, now).shown(keep_spaces=True) for line in text.splitlines()]


def failing() -> str:
    try:
        {}["absent"]
    except KeyError as error:
        error.__context__ = None  # a test before this one may have left an exception
        return traceback.format_exc()
    raise AssertionError


def test_the_last_traceback_is_found_among_other_lines() -> None:
    text = failing()
    logs = [*log("said", "stdout"), *log(text), *log("between", "stdout"), *log(text)]
    assert last_traceback(logs) == text.rstrip("\n")
    assert last_traceback(log("no trace")) == ""


def test_only_an_error_with_a_text_gets_it() -> None:
    text = failing()
    record: dict[str, Any] = {"response": {"result": {"error": "why"}}, "logs": log(text)}
    add_traceback(record)
    assert record["response"]["result"]["error"] == f"why\n\n{text.rstrip()}"
    for result in ({"fine": 1}, {"error": {"statusCode": 404}}, [1], None):
        record = {"response": {"result": result}, "logs": log(text)}
        add_traceback(record)
        assert record["response"]["result"] == result
