"""The routes of activations: list, get, logs, result."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hotwhisk.gateway.api import reading
from hotwhisk.gateway.api.authentication import gateway_of, owned
from hotwhisk.gateway.api.errors import NOT_FOUND, ApiError
from hotwhisk.gateway.store.activations import StoredActivation, Wanted


def list_all(request: Request) -> Response:
    """Return activations, the newest first; with ``docs=true`` as a whole."""
    namespace = owned(request)
    wanted = Wanted(
        namespace.name,
        name=request.query_params.get("name"),
        since=reading.number(request, "since"),
        upto=reading.number(request, "upto"),
        limit=reading.number(request, "limit", 30) or 30,
        skip=reading.number(request, "skip", 0) or 0,
    )
    found = gateway_of(request).store.activations.list(wanted)
    if reading.flag(request, "docs"):
        return JSONResponse([each.record for each in found])
    return JSONResponse([_summary(each) for each in found])


def get(request: Request) -> Response:
    """Return an activation with its logs."""
    return JSONResponse(_find(request).record)


def logs(request: Request) -> Response:
    """Return the logs of an activation."""
    return JSONResponse({"logs": _find(request).record["logs"]})


def result(request: Request) -> Response:
    """Return the result of an activation."""
    return JSONResponse(_find(request).record["response"])


def _find(request: Request) -> StoredActivation:
    namespace = owned(request)
    found = gateway_of(request).store.activations.get(namespace.name, request.path_params["id"])
    if found is None:
        raise ApiError(404, NOT_FOUND)
    return found


def _summary(activation: StoredActivation) -> dict[str, object]:
    left_out = ("response", "logs")
    record = {key: value for key, value in activation.record.items() if key not in left_out}
    return {**record, "statusCode": activation.record["response"]["statusCode"]}
