"""A failure in the platform's form."""

from __future__ import annotations

import json

from hotwhisk.aws_lambda.failure import MOST_CAUSE, Failure, of_exception


def test_a_document_has_the_platforms_names() -> None:
    assert Failure("Odd", "text", ["line"]).document("r1") == {
        "errorMessage": "text",
        "errorType": "Odd",
        "requestId": "r1",
        "stackTrace": ["line"],
    }


def test_an_exception_has_its_lines_and_a_cause() -> None:
    try:
        raise KeyError("k")
    except KeyError as error:
        failure = of_exception(error)
    assert (failure.type, failure.message) == ("KeyError", "'k'")
    assert 'raise KeyError("k")' in failure.stack[0]
    (exception,) = json.loads(failure.cause)["exceptions"]
    assert exception["stack"][0]["path"] == __file__
    assert json.loads(failure.cause)["paths"] == [__file__]


def test_an_exception_without_a_text_has_none() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert of_exception(Broken()).message == ""


def test_a_cause_that_is_too_long_is_left_out() -> None:
    failure = of_exception(ValueError("x" * MOST_CAUSE))
    assert failure.cause == ""
    assert len(failure.message) == MOST_CAUSE
