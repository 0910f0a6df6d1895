"""The context of an activation."""

from __future__ import annotations

import math

import pytest

from hotwhisk.cloudevents.cloud_event import CloudEvent
from hotwhisk.http1.trace_context import TraceContext
from hotwhisk.openwhisk.context import Context


def test_reads_what_the_request_carried() -> None:
    context = Context(
        {
            "activation_id": "i",
            "action_name": "/n/a",
            "action_version": "0.0.1",
            "namespace": "n",
            "transaction_id": "t",
            "api_key": "k",
        }
    )
    assert context.activation_id == "i"
    assert context.action_name == "/n/a"
    assert context.action_version == "0.0.1"
    assert context.namespace == "n"
    assert context.transaction_id == "t"
    assert context.api_key == "k"


def test_the_trace_of_the_request() -> None:
    parent = f"00-{'a' * 32}-{'b' * 16}-01"
    context = Context({"traceparent": "not a header"}, trace=TraceContext(parent, "a=1"))
    assert (context.traceparent, context.tracestate) == (parent, "a=1")
    assert (Context({}).traceparent, Context({}).tracestate) == ("", "")


def test_the_event_of_the_request() -> None:
    event = CloudEvent({"id": "7"})
    assert Context({}, cloudevent=event).cloudevent is event
    assert Context({}).cloudevent is None


def test_empty() -> None:
    context = Context({})
    assert (context.activation_id, context.api_key, context.deadline) == ("", None, None)
    assert context.remaining_time() == math.inf


@pytest.mark.parametrize(("deadline", "left"), [("12500", 2.5), ("1", 0.0), ("soon", math.inf)])
def test_remaining_time(deadline: str, left: float) -> None:
    assert Context({"deadline": deadline}, clock=lambda: 10.0).remaining_time() == left


def test_the_names_that_digitalocean_documents() -> None:
    values = {
        "activation_id": "i", "action_name": "/n/a", "action_version": "0.0.1",
        "transaction_id": "t", "namespace": "n", "api_key": "k", "deadline": "12500",
    }  # fmt: skip
    context = Context(values, clock=lambda: 10.0, api_host="https://faas.example")
    assert (context.function_name, context.function_version) == ("/n/a", "0.0.1")
    assert (context.request_id, context.activation_id) == ("t", "i")
    assert (context.api_host, context.api_key) == ("https://faas.example", "k")
    assert (context.namespace, context.deadline) == ("n", 12500)
    assert context.get_remaining_time_in_millis() == 2500
    assert Context({"deadline": "1"}).get_remaining_time_in_millis() == 0
    assert type(Context({}).get_remaining_time_in_millis()) is int
    assert Context({"api_host": "own"}, api_host="container's").api_host == "own"
