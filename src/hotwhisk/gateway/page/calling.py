"""Call actions for a reader of the page."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from hotwhisk.gateway.api.authentication import gateway_of
from hotwhisk.gateway.api.errors import ApiError
from hotwhisk.gateway.api.invoking import MOST_SECONDS, finished
from hotwhisk.gateway.invocations.resolve import Resolved, with_parameters
from hotwhisk.gateway.page.rendering import PageError
from hotwhisk.gateway.store.actions import StoredAction
from hotwhisk.gateway.store.namespaces import Namespace
from hotwhisk.mcp.strict_json import json_value

Event = dict[str, object] | list[object]
"""What an action is called with. The platform also takes an array, and adds no defaults to it."""


def read_event(text: str) -> Event:
    """
    Return the event in a text; an empty one is an empty event.

    Raises:
        PageError: it is neither a JSON object nor an array.
    """
    try:
        event = json_value(text or "{}")
    except (ValueError, RecursionError) as error:
        raise PageError(400, f"The event is not JSON: {error}") from None
    if not isinstance(event, dict | list):
        raise PageError(400, 'An event is a JSON object, such as {"name": "Mike"}.')
    return event


async def call_and_wait(
    request: Request, namespace: Namespace, action: StoredAction, event: Event
) -> str:
    """
    Call a version, wait for its end, and return the id of the activation.

    A call that takes longer than `MOST_SECONDS` goes on; the page of its activation waits for it.

    Raises:
        PageError: the event has another value for a final parameter, or too many calls run.
    """
    gateway = gateway_of(request)
    resolved = await run_in_threadpool(with_parameters, gateway.store, action)
    if isinstance(event, dict):
        _check_final(resolved, event)
    call = gateway.invocations.new_call(namespace, resolved, event)
    try:
        await finished(gateway.invocations, call, MOST_SECONDS)
    except ApiError as refusal:
        raise PageError(refusal.status, refusal.text) from None
    return call.id


def _check_final(resolved: Resolved, event: dict[str, object]) -> None:
    """Refuse another value for a final parameter; an event that was sent before has the same."""
    for name in sorted(resolved.final & event.keys()):
        if event[name] != resolved.parameters.get(name):
            raise PageError(400, f"The action is final: its parameter {name} cannot be replaced.")
