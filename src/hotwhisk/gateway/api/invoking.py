"""The route that invokes an action."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from hotwhisk.gateway.api import actions
from hotwhisk.gateway.api.activations import shown
from hotwhisk.gateway.api.endpoint import ApiRequest
from hotwhisk.gateway.api.errors import (
    NOT_ALLOWED,
    ApiError,
    JsonResponse,
    malformed_query,
    request_id,
)
from hotwhisk.gateway.api.reading import flag
from hotwhisk.gateway.invocations.call import Call
from hotwhisk.gateway.invocations.invocations import Invocations, TooManyCalls
from hotwhisk.gateway.store.activations import StoredActivation

MOST_SECONDS: Final = 60.0
"""A blocking call that takes longer is answered 202. Source: docs/rest_api.md."""
_STATUSES: Final = {0: 200, 1: 502, 2: 502}
"""The status of the answer, by the status of the activation; any other is a fault of ours: 500."""


async def post(given: ApiRequest) -> Response:
    """Invoke an action; wait for its end if ``blocking`` is true."""
    blocking, only_result = flag(given.request, "blocking"), flag(given.request, "result")
    seconds = _seconds(given.request)
    found = await run_in_threadpool(actions.find, given)
    if found.final & given.document.keys():
        raise ApiError(400, NOT_ALLOWED)
    invocations = given.gateway.invocations
    transaction = request_id(given.request)
    call = invocations.new_call(given.caller, found, given.document, transaction=transaction)
    activation = await finished(invocations, call, seconds if blocking else None)
    if activation is None:
        return JsonResponse({"activationId": call.id}, 202, headers(call.id))
    return _answer(activation, only_result=only_result)


async def finished(
    invocations: Invocations, call: Call, seconds: float | None
) -> StoredActivation | None:
    """
    Begin a call; return its record if it ends within some seconds, None if it goes on.

    Raises:
        ApiError: 429, too many calls run or wait.
        sqlite3.Error: no record can be stored, so nothing was called.
        NotStored: the call has begun, and its record could not be stored.
    """
    if invocations.store.database.is_failing:
        await run_in_threadpool(invocations.store.database.check)
    try:
        future = asyncio.wrap_future(invocations.start(call))
    except TooManyCalls as refusal:
        raise ApiError(429, str(refusal)) from None
    future.add_done_callback(_take_exception)
    if seconds is not None:
        await asyncio.wait([future], timeout=seconds)
        if future.done():
            return future.result()
    await run_in_threadpool(invocations.accept, call)
    return None


def _take_exception(future: asyncio.Future[StoredActivation]) -> None:
    """Take the exception of a call for which no client waits, or asyncio would log a traceback."""
    if not future.cancelled():
        future.exception()


def headers(identifier: str) -> dict[str, str]:
    """Return the header that names an activation."""
    return {"X-OpenWhisk-Activation-Id": identifier}


def _seconds(request: Request) -> float:
    """Return how long to wait, from the query parameter in milliseconds."""
    text = request.query_params.get("timeout")
    most = int(MOST_SECONDS * 1000)
    if text is None:
        return MOST_SECONDS
    if not text.isdecimal() or len(text) > 9 or not 0 < int(text) <= most:
        reason = f"Timeout must be number of milliseconds up to {most}."
        raise malformed_query("timeout", reason)
    return int(text) / 1000


def _answer(activation: StoredActivation, *, only_result: bool) -> Response:
    response = activation.record["response"]
    result = response["result"]
    # An array is answered alone in any case: the platform knows it by no other form.
    content = result if only_result or isinstance(result, list) else shown(activation)
    status = _STATUSES.get(response["statusCode"], 500)
    return JsonResponse(content, status, headers(activation.id))
