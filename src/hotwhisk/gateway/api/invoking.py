"""The route that invokes an action."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hotwhisk.gateway.api import reading
from hotwhisk.gateway.api.actions import key_of
from hotwhisk.gateway.api.authentication import gateway_of, owned
from hotwhisk.gateway.api.errors import NOT_FOUND, ApiError
from hotwhisk.gateway.invocations.invocations import TooManyCalls
from hotwhisk.gateway.invocations.resolve import resolve
from hotwhisk.gateway.store.activations import StoredActivation

MOST_SECONDS: Final = 60.0
"""A blocking call that takes longer is answered 202. Source: docs/rest_api.md."""


async def post(request: Request) -> Response:
    """Invoke an action; wait for its end if ``blocking`` is true."""
    namespace = owned(request)
    gateway = gateway_of(request)
    argument = await reading.document(request)
    key = key_of(request, namespace.name)
    resolved = await run_in_threadpool(resolve, gateway.store, key)
    if resolved is None:
        raise ApiError(404, NOT_FOUND)
    if resolved.final & argument.keys():
        raise ApiError(
            400, "Request defines parameters that are not allowed (e.g., reserved properties)."
        )
    call = gateway.invocations.call(namespace, resolved, argument)
    try:
        future = asyncio.wrap_future(gateway.invocations.start(call))
    except TooManyCalls as refusal:
        raise ApiError(429, str(refusal)) from None
    identifier = call.names.activation
    if reading.flag(request, "blocking"):
        milliseconds = reading.number(request, "timeout")
        seconds = MOST_SECONDS if milliseconds is None else min(MOST_SECONDS, milliseconds / 1000)
        await asyncio.wait([future], timeout=seconds)
        if future.done():
            return _answer(future.result(), only_result=reading.flag(request, "result"))
    await run_in_threadpool(gateway.invocations.accept, call)
    return JSONResponse({"activationId": identifier}, 202, _headers(identifier))


def _answer(activation: StoredActivation, *, only_result: bool) -> Response:
    response = activation.record["response"]
    status = 200 if response["success"] else 502
    content = response["result"] if only_result else activation.record
    return JSONResponse(content, status, _headers(activation.id))


def _headers(identifier: str) -> dict[str, str]:
    return {"X-OpenWhisk-Activation-Id": identifier}
