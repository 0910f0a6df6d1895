"""The context of an event, as far as a process test does not show it."""

from __future__ import annotations

import time

import pytest

from hotwhisk.aws_lambda.lambda_context import LambdaContext, read_names

NAMES = read_names({"AWS_LAMBDA_FUNCTION_NAME": "f"})


def context(**invocation: str) -> LambdaContext:
    return LambdaContext({"request_id": "r1", **invocation}, NAMES, print)


def test_what_an_event_lacks_is_none() -> None:
    found = context()
    assert found.aws_request_id == "r1"
    assert found.function_name == "f"
    assert found.function_version is None
    assert found.client_context is None
    assert found.tenant_id is None
    assert found.identity.cognito_identity_id is None
    assert found.identity.cognito_identity_pool_id is None


def test_the_time_left_is_never_negative() -> None:
    assert context(deadline="1000").get_remaining_time_in_millis() == 0
    assert context().get_remaining_time_in_millis() == 0
    soon = context(deadline=str(int((time.time() + 60) * 1000)))
    assert 0 < soon.get_remaining_time_in_millis() <= 60_000


def test_a_client_context_has_its_parts() -> None:
    found = context(client_context='{"client":{"app_title":"App"},"env":{"a":"b"}}').client_context
    assert found is not None
    assert found.client.app_title == "App"
    assert found.client.installation_id is None
    assert found.env == {"a": "b"}
    assert found.custom is None


def test_a_client_context_that_is_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match="Expecting property name"):
        context(client_context="{")


def test_attributes_can_be_added() -> None:
    found = context()
    found.user = "ada"  # type: ignore[attr-defined]
    assert "user='ada'" in repr(found)


def test_a_message_goes_to_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    context().log({"a": 1})
    assert capsys.readouterr().out == "{'a': 1}\n"
