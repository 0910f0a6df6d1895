"""What a worker makes of a request, without a worker: the forms of results and of failures."""

from __future__ import annotations

import io
import os
import sys
from decimal import Decimal
from typing import Any

import pytest

from hotwhisk.aws_lambda.function import TRACE, Function
from hotwhisk.aws_lambda.function_log import FunctionLog


def answer(handler: Any, event: str = "{}", *, overlaps: bool = False, **invocation: str) -> Any:
    function = Function(handler, FunctionLog({}), overlaps=overlaps)
    return function.call({"event": event, "invocation": {"request_id": "r1", **invocation}})


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ({"a": [1, None, "ü"]}, '{"a": [1, null, "ü"]}'),
        ("text", '"text"'),
        (None, "null"),
        (Decimal(12), "12"),
        (Decimal("1.5"), "1.5"),
        (Decimal("1E+2"), "100"),
        (Decimal("NaN"), "NaN"),
    ],
)
def test_a_result_is_written_as_the_platform_does(result: object, text: str) -> None:
    assert answer(lambda event, context: result) == {"response": text}


@pytest.mark.parametrize("result", [{1, 2}, object(), "\ud800", Decimal("Infinity")])
def test_a_result_without_json_is_a_failure(result: object) -> None:
    found = answer(lambda event, context: result)
    assert found["error"]["type"] == "Runtime.MarshalError"


def test_bytes_keep_their_value() -> None:
    assert answer(lambda event, context: b"\x00\xff") == {"response": "\x00\xff", "binary": True}


def test_an_awaitable_that_a_plain_handler_returns_is_awaited() -> None:
    async def work() -> int:
        return 7

    assert answer(lambda event, context: work()) == {"response": "7"}


def test_the_trace_is_shown_unless_events_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TRACE, raising=False)

    def trace(event: object, context: object) -> str | None:
        return os.environ.get(TRACE)

    assert answer(trace, trace_id="Root=1") == {"response": '"Root=1"'}
    assert answer(trace) == {"response": "null"}
    assert answer(trace, overlaps=True, trace_id="Root=1") == {"response": "null"}


DEEP = "[" * 200_000


@pytest.mark.parametrize("event", ["{", DEEP], ids=["no JSON", "deep"])
def test_an_event_that_cannot_be_read_is_a_failure(event: str) -> None:
    found = answer(lambda event, context: None, event)
    assert found["error"]["type"] == "Runtime.UnmarshalError"


@pytest.mark.parametrize("name", ["client_context", "identity"])
@pytest.mark.parametrize("text", ["{", "[1]", DEEP], ids=["no JSON", "a list", "deep"])
def test_a_context_that_cannot_be_read_is_a_failure(name: str, text: str) -> None:
    found = answer(lambda event, context: None, **{name: text})
    assert found["error"]["type"] == "Runtime.LambdaContextUnmarshalError"


def test_a_client_that_is_no_object_is_a_failure() -> None:
    found = answer(lambda event, context: None, client_context='{"client": "x"}')
    assert found["error"]["type"] == "Runtime.LambdaContextUnmarshalError"


@pytest.mark.parametrize("closed", [False, True])
def test_a_failure_that_the_log_cannot_take_is_answered(
    monkeypatch: pytest.MonkeyPatch, *, closed: bool
) -> None:
    def work(event: object, context: object) -> None:
        raise ValueError("\ud800")

    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    if closed:
        stream.close()
    monkeypatch.setattr(sys, "stdout", stream)
    found = answer(work)
    assert (found["error"]["type"], found["error"]["message"]) == ("ValueError", "\ud800")


def test_an_exit_is_left_to_the_server() -> None:
    def leave(event: object, context: object) -> None:
        raise SystemExit(1)

    with pytest.raises(SystemExit):
        answer(leave)
