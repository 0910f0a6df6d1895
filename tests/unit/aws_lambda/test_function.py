"""What a worker makes of a request, without a worker: the forms of results and of failures."""

from __future__ import annotations

import os
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


def test_an_exit_is_left_to_the_server() -> None:
    def leave(event: object, context: object) -> None:
        raise SystemExit(1)

    with pytest.raises(SystemExit):
        answer(leave)
